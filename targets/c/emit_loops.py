"""Loops IR as C text: one table from op type to a function that writes it.

Values are numbered in order of first use, so the text depends on the IR alone. Index arithmetic
and constants are written where they are used; everything else is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects import arith, func, memref, scf, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IndexType,
    IntegerAttr,
    MemRefType,
    VectorType,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.location import location_of
from pock_ir.lowering.loops.arithmetic import FLOAT, INTEGER
from pock_ir.op import integer
from pock_ir.target import Target
from pock_ir.targets.c.scalar_c import (
    SPLATS,
    literal,
    operation,
    value_type,
)
from pock_ir.targets.c.scalar_c import cast as convert
from pock_ir.types import DType, dtype_named, dtype_of

I1 = dtype_named("i1")


def shape_in_c(type: Attribute) -> tuple[DType, int]:
    """The dtype and the lanes (1 for a scalar) of a value that is no index."""
    if isinstance(type, VectorType):
        vector_type = cast("VectorType[Attribute]", type)
        return dtype_of(vector_type.element_type), vector_type.get_shape()[0]
    return dtype_of(type), 1


class LoopsWriter:
    """Writes one function. `names` maps values to C expressions that may be repeated."""

    def __init__(self, target: Target, names: Mapping[SSAValue, str]) -> None:
        self.target = target
        self.names = dict(names)
        self.counts: dict[SSAValue, str] = {}
        self.lines: list[str] = []
        self.depth = 1
        self._count = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fresh(self, prefix: str = "v") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def name(self, value: SSAValue) -> str:
        return self.names[value]

    def of(self, values: Sequence[SSAValue]) -> list[str]:
        return [self.names[value] for value in values]

    def type(self, value: SSAValue) -> str:
        """The C type of a local variable that holds `value`."""
        if isinstance(value.type, IndexType):
            return "size_t"
        dtype, lanes = shape_in_c(value.type)
        self.check_lanes(lanes)
        return value_type(dtype, lanes)

    def check_lanes(self, lanes: int) -> None:
        if lanes not in (1, self.target.vector.lanes(4)):
            raise PockError(f"target {self.target.name} has no registers of {lanes} lanes")

    def define(self, value: SSAValue, text: str) -> None:
        """A statement that computes `value`."""
        name = self.fresh()
        self.line(f"const {self.type(value)} {name} = {text};")
        self.names[value] = name

    def inline(self, value: SSAValue, text: str) -> None:
        """Write `text` wherever `value` is used."""
        self.names[value] = text

    def block(self, block: Block) -> None:
        self.depth += 1
        for op in block.ops:
            self.op(op)
        self.depth -= 1

    def op(self, op: Operation) -> None:
        rule = RULES.get(type(op))
        if rule is None:
            raise PockError(Diagnostic(f"{op.name} has no C text", location_of(op)))
        rule(self, op)


Rule: TypeAlias = Callable[[LoopsWriter, Any], None]


def _constant(out: LoopsWriter, op: arith.ConstantOp) -> None:
    value = op.value
    if isinstance(value, DenseIntOrFPElementsAttr):
        out.define(op.result, _lanes(out, value))
        return
    number = cast("FloatAttr[Any] | IntegerAttr[Any]", value).value.data
    if isinstance(op.result.type, IndexType):
        out.inline(op.result, str(number))
        return
    dtype, _ = shape_in_c(op.result.type)
    text = literal(abs(number) if dtype.name == "i1" else number, dtype)
    out.inline(op.result, f"({text})" if text.startswith("-") else text)


def _lanes(out: LoopsWriter, value: DenseIntOrFPElementsAttr) -> str:
    """A register of different integers: the lane numbers, or a multiple of them."""
    numbers = [int(cast(int, item)) for item in value.get_values()]
    dtype, lanes = shape_in_c(value.type)
    step = numbers[1] - numbers[0]
    if dtype.name != "i32" or numbers != [step * lane for lane in range(lanes)]:
        raise PockError(f"a constant vector {numbers} has no C text")
    out.check_lanes(lanes)
    return "pock_lane()" if step == 1 else f"pock_lane() * {step}"


_INDEX_SIGNS: Mapping[type[Operation], str] = {
    arith.AddiOp: "+",
    arith.DivUIOp: "/",
    arith.MuliOp: "*",
    arith.SubiOp: "-",
}


def _index_operation(out: LoopsWriter, op: Operation) -> bool:
    """Write index arithmetic in place. False if the op's result is no index."""
    if not isinstance(op.results[0].type, IndexType):
        return False
    a, b = out.of(op.operands)
    out.inline(op.results[0], f"({a} {_INDEX_SIGNS[type(op)]} {b})")
    return True


def _named(name: str) -> Rule:
    """An op that is one row of the table of `scalar_c`."""

    def write(out: LoopsWriter, op: Operation) -> None:
        if type(op) in _INDEX_SIGNS and _index_operation(out, op):
            return
        dtype, lanes = shape_in_c(op.operands[0].type)
        out.define(op.results[0], operation(name, out.of(op.operands), dtype, lanes))

    return write


def _minimum(out: LoopsWriter, op: arith.MinSIOp) -> None:
    if not isinstance(op.result.type, IndexType):
        _named("min")(out, op)
        return
    a, b = out.of(op.operands)
    name = out.fresh()
    out.line(f"const size_t {name} = {a} < {b} ? {a} : {b};")
    out.names[op.result] = name


_FLOAT_PREDICATES = {1: "eq", 2: "gt", 3: "ge", 4: "lt", 5: "le", 13: "ne"}
_INTEGER_PREDICATES = {0: "eq", 1: "ne", 2: "lt", 3: "le", 4: "gt", 5: "ge"}


def _compare(predicates: Mapping[int, str]) -> Rule:
    def write(out: LoopsWriter, op: arith.CmpfOp | arith.CmpiOp) -> None:
        name = predicates.get(integer(op.predicate))
        if name is None:
            raise PockError(f"{op.name} with predicate {integer(op.predicate)} has no C text")
        _named(name)(out, op)

    return write


def _select(out: LoopsWriter, op: arith.SelectOp) -> None:
    condition, true, false = out.of(op.operands)
    dtype, lanes = shape_in_c(op.result.type)
    _, condition_lanes = shape_in_c(op.cond.type)
    if lanes > 1 and condition_lanes == 1:
        condition = f"{SPLATS['i1']}({condition})"
    out.define(op.result, operation("select", [true, false, condition], dtype, lanes))


def _convert(out: LoopsWriter, op: Operation) -> None:
    source, lanes = shape_in_c(op.operands[0].type)
    result, _ = shape_in_c(op.results[0].type)
    out.define(op.results[0], convert(out.name(op.operands[0]), source, result, lanes))


def _index_cast(out: LoopsWriter, op: arith.IndexCastOp) -> None:
    out.define(op.result, f"({out.type(op.result)}){out.name(op.input)}")


def _element(out: LoopsWriter, buffer: SSAValue, indices: Sequence[SSAValue]) -> str:
    strides = cast("MemRefType[Attribute]", buffer.type).get_strides()
    terms = [
        out.name(index) if stride == 1 else f"{out.name(index)} * {stride}"
        for index, stride in zip(indices, strides or (), strict=True)
    ]
    index = " + ".join(terms) or "0"
    return index[1:-1] if len(terms) == 1 and index.startswith("(") else index


def _load(out: LoopsWriter, op: memref.LoadOp) -> None:
    out.define(op.res, f"{out.name(op.memref)}[{_element(out, op.memref, op.indices)}]")


def _store(out: LoopsWriter, op: memref.StoreOp) -> None:
    dtype = dtype_of(op.value.type)
    value = out.name(op.value)
    text = f"({dtype.c}){value}" if dtype.name == "i1" else value
    out.line(f"{out.name(op.memref)}[{_element(out, op.memref, op.indices)}] = {text};")


_MEMORY_SUFFIX = {"f64": "w", "f32": "", "i32": "i", "i1": "_mask"}


def _address(out: LoopsWriter, buffer: SSAValue, indices: Sequence[SSAValue]) -> str:
    index = _element(out, buffer, indices)
    return out.name(buffer) if index == "0" else f"{out.name(buffer)} + {index}"


def _vector_load(out: LoopsWriter, op: vector.LoadOp) -> None:
    dtype, _ = shape_in_c(op.result.type)
    address = _address(out, op.base, op.indices)
    out.define(op.result, f"pock_load{_MEMORY_SUFFIX[dtype.name]}({address})")


def _vector_store(out: LoopsWriter, op: vector.StoreOp) -> None:
    dtype, _ = shape_in_c(op.vector.type)
    address = _address(out, op.base, op.indices)
    out.line(f"pock_store{_MEMORY_SUFFIX[dtype.name]}({address}, {out.name(op.vector)});")


def _create_mask(out: LoopsWriter, op: vector.CreateMaskOp) -> None:
    count = out.name(op.mask_dim_sizes[0])
    out.counts[op.mask_vector] = count
    out.inline(op.mask_vector, f"(pock_lane() < {count})")


_ZEROS = ("pock_splatw(0.0)", "pock_splat(0.0f)", "pock_splati(0)", "pock_splat_mask(0)")


def _masked_load(out: LoopsWriter, op: vector.MaskedLoadOp) -> None:
    """Lanes behind the mask are 0 in every C text, so they must be 0 in the op."""
    dtype, _ = shape_in_c(op.result.type)
    if out.name(op.pass_thru) not in _ZEROS:
        raise PockError("vector.maskedload of lanes that are not 0 has no C text")
    address = _address(out, op.base, op.indices)
    count = out.counts[op.mask]
    out.define(op.result, f"pock_load{_MEMORY_SUFFIX[dtype.name]}_part({address}, {count})")


def _masked_store(out: LoopsWriter, op: vector.MaskedStoreOp) -> None:
    dtype, _ = shape_in_c(op.value_to_store.type)
    address = _address(out, op.base, op.indices)
    value, count = out.name(op.value_to_store), out.counts[op.mask]
    out.line(f"pock_store{_MEMORY_SUFFIX[dtype.name]}_part({address}, {value}, {count});")


def _broadcast(out: LoopsWriter, op: vector.BroadcastOp) -> None:
    dtype, lanes = shape_in_c(op.vector.type)
    out.check_lanes(lanes)
    write = out.inline if isinstance(op.source.owner, arith.ConstantOp) else out.define
    write(op.vector, f"{SPLATS[dtype.name]}({out.name(op.source)})")


_REDUCTIONS = {
    ("add", "f64"): "pock_wsum",
    ("add", "f32"): "pock_vsum",
    ("maximumf", "f32"): "pock_vmaximum",
    ("mul", "f32"): "pock_vproduct",
}


def _across(out: LoopsWriter, op: vector.ReductionOp) -> None:
    dtype, _ = shape_in_c(op.vector.type)
    function = _REDUCTIONS.get((op.kind.data.value, dtype.name))
    if function is None:
        raise PockError(f"{op.name} of {dtype.name} has no C text")
    out.define(op.dest, f"{function}({out.name(op.vector)})")


def _for(out: LoopsWriter, op: scf.ForOp) -> None:
    index, *carried = op.body.block.args
    for variable, start in zip(carried, op.iter_args, strict=True):
        name = out.fresh("s")
        out.line(f"{out.type(variable)} {name} = {out.name(start)};")
        out.names[variable] = name
    i = out.fresh("i")
    out.names[index] = i
    low, high, step = out.of((op.lb, op.ub, op.step))
    out.line(f"for (size_t {i} = {low}; {i} < {high}; {i} += {step}) {{")
    out.block(op.body.block)
    out.line("}")
    for result, variable in zip(op.results, carried, strict=True):
        out.names[result] = out.names[variable]


def _yield(out: LoopsWriter, op: scf.YieldOp) -> None:
    """Assign the carried values; one that another one still needs is copied first."""
    loop = op.parent_op()
    assert isinstance(loop, scf.ForOp)
    variables = out.of(loop.body.block.args[1:])
    following = out.of(op.operands)
    for place, (variable, text) in enumerate(zip(variables, following, strict=True)):
        if variable in following[place + 1 :] and variable != text:
            copy = out.fresh()
            out.line(f"const {out.type(loop.body.block.args[place + 1])} {copy} = {variable};")
            following = [copy if item == variable else item for item in following]
    for variable, text in zip(variables, following, strict=True):
        if variable != text:
            out.line(f"{variable} = {text};")


def _call(out: LoopsWriter, op: func.CallOp) -> None:
    """A random number: its index is a register in the vector form."""
    seed, step, index, stream = out.of(op.arguments)
    functions = {
        "pock_uniform": ("pock_uniform", "uint32_t"),
        "pock_uniform_vector": ("pock_vuniform", "pock_vu"),
    }
    name = op.callee.root_reference.data
    if name not in functions:
        raise PockError(f"a call of {name} has no C text")
    function, words = functions[name]
    key = f"(uint32_t){seed}, (uint32_t){step}"
    out.define(op.res[0], f"{function}({key}, ({words}){index}, (uint32_t){stream})")


def _nothing(out: LoopsWriter, op: Operation) -> None:
    del out, op


RULES: Mapping[type[Operation], Rule] = {
    **{cast("type[Operation]", op): _named(name) for name, op in FLOAT.items()},
    **{cast("type[Operation]", op): _named(name) for name, op in INTEGER.items()},
    arith.AndIOp: _named("and"),
    arith.CmpfOp: _compare(_FLOAT_PREDICATES),
    arith.CmpiOp: _compare(_INTEGER_PREDICATES),
    arith.ConstantOp: _constant,
    arith.DivUIOp: _named("div"),
    arith.ExtFOp: _convert,
    arith.ExtSIOp: _convert,
    arith.FPToSIOp: _convert,
    arith.IndexCastOp: _index_cast,
    arith.MinSIOp: _minimum,
    arith.OrIOp: _named("or"),
    arith.SIToFPOp: _convert,
    arith.SelectOp: _select,
    arith.TruncFOp: _convert,
    arith.TruncIOp: _convert,
    arith.XOrIOp: _named("xor"),
    func.CallOp: _call,
    func.ReturnOp: _nothing,
    memref.LoadOp: _load,
    memref.StoreOp: _store,
    scf.ForOp: _for,
    scf.YieldOp: _yield,
    vector.BroadcastOp: _broadcast,
    vector.CreateMaskOp: _create_mask,
    vector.LoadOp: _vector_load,
    vector.MaskedLoadOp: _masked_load,
    vector.MaskedStoreOp: _masked_store,
    vector.ReductionOp: _across,
    vector.StoreOp: _vector_store,
}


def loops_to_c(function: func.FuncOp, target: Target, names: Sequence[str]) -> str:
    """The C statements of the body of `function`, whose arguments are called `names`.

    Raises PockError naming the op if one has no C text.
    """
    block = function.body.block
    writer = LoopsWriter(target, dict(zip(block.args, names, strict=True)))
    for op in block.ops:
        writer.op(op)
    return "\n".join(writer.lines)
