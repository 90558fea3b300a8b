"""From a planned module to the plain values that are printed as C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, MemRefType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from pock_ir.compat import linear_symbol_lookup
from pock_ir.diagnostics import PockError
from pock_ir.dialects import kern, mem
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.gather import GatheringOp
from pock_ir.dialects.loss import CrossEntropyOp
from pock_ir.location import location_of
from pock_ir.op import integer, ints, text
from pock_ir.target import Target, target_of
from pock_ir.targets.c.program.layout import (
    Call,
    Entry,
    KernelFunction,
    Place,
    Port,
    ProgramLayout,
    StoredObject,
    TensorSpec,
)
from pock_ir.targets.c.program.text import program_name
from pock_ir.types import dtype_of, shape_of

Range = tuple[int, int | None]


def read_layout(module: ModuleOp, rate: float, aliases: Mapping[str, str]) -> ProgramLayout:
    """The program that a module at level "mem" describes.

    rate: the initial learning rate; aliases: framework names of tied weights. Raises PockError if
    the module is not planned, or its name cannot prefix C identifiers.
    """
    target = target_of(module)
    name = module.attributes.get("pock.name")
    if not isinstance(name, StringAttr):
        raise PockError("the module has no attribute pock.name")
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    prefix = program_name(name.data)
    with linear_symbol_lookup():
        entries = tuple(_entry(function) for function in functions)
    return ProgramLayout(
        name=prefix,
        target=target,
        arena_bytes=_region_bytes(functions, mem.ARENA),
        state_bytes=_region_bytes(functions, mem.STATE),
        constant_bytes=_region_bytes(functions, mem.CONSTANTS),
        objects=tuple(_object(op) for op in mem.objects(module)),
        kernels=tuple(_kernel(op, target) for op in mem.kernels(module)),
        entries=entries,
        rate=rate,
        aliases=dict(aliases),
    )


def spec_of(type: Attribute) -> TensorSpec:
    """Shape and dtype of a tensor or memref type."""
    tensor = mem.tensor_of(type) if isinstance(type, MemRefType) else type
    return TensorSpec(shape_of(cast("mem.Tensor", tensor)), dtype_of(tensor))


def _region_bytes(functions: list[FuncOp], region: str) -> int:
    at = mem.REGIONS.index(region)
    return max((mem.memory_bytes(f.body.block.args[at].type) for f in functions), default=0)


def _object(op: mem.ObjectOp) -> StoredObject:
    spec = spec_of(op.type)
    permute = ints(op.permute) or tuple(range(len(spec.shape)))
    return StoredObject(
        text(op.label), text(op.kind), text(op.region), integer(op.offset), spec, permute
    )


def _kernel(op: mem.KernelOp, target: Target) -> KernelFunction:
    symbol = op.sym_name.data
    offer = target.kernel(text(op.call.kernel))
    body = offer.emit(op.call, target, symbol)
    return KernelFunction(symbol, body, integer(op.parts), integer(op.scratch_bytes))


def _entry(function: FuncOp) -> Entry:
    arguments = list(function.body.block.args)
    ports = arguments[len(mem.REGIONS) :]
    limits = _limits(function)
    attributes = cast("ArrayAttr[DictionaryAttr]", function.arg_attrs).data[len(mem.REGIONS) :]
    entry_ports = tuple(
        _port(argument, attrs, limits.get(argument))
        for argument, attrs in zip(ports, attributes, strict=True)
    )
    base: dict[SSAValue, str | int] = dict(zip(arguments, mem.REGIONS, strict=False))
    base.update({argument: index for index, argument in enumerate(ports)})
    calls = [op for op in function.body.block.ops if isinstance(op, mem.CallOp)]
    name = function.sym_name.data
    return Entry(name, entry_ports, tuple(_call(call, base) for call in calls))


def _port(argument: SSAValue, attributes: DictionaryAttr, limit: Range | None) -> Port:
    kind = text(attributes.data["pock.kind"])
    name = text(attributes.data["pock.name"]) if "pock.name" in attributes.data else kind
    return Port(name, kind, spec_of(argument.type), *(limit or (None, None)))


def _call(call: mem.CallOp, base: Mapping[SSAValue, str | int]) -> Call:
    def place(value: SSAValue) -> Place:
        region, offset = mem.place_of(value)
        return Place(base[region], offset, spec_of(value.type))

    scratch = None if call.scratch is None else mem.place_of(call.scratch)[1]
    kernel = call.kernel
    return Call(
        kernel=kernel.sym_name.data,
        operands=tuple(place(value) for value in call.ins),
        results=tuple(place(value) for value in call.outs),
        scratch=scratch,
        source=location_of(call) or "unknown source",
        meaning=f"{kern.describe(kernel.call)} as {text(kernel.call.kernel)}",
    )


def _limits(function: FuncOp) -> dict[SSAValue, Range]:
    """The range of values that the kernels accept of each integer argument, the narrowest.

    An index that selects a row of a table must lie inside it; the generated program refuses other
    values before it runs anything.
    """
    found: dict[SSAValue, Range] = {}
    for call in function.body.block.ops:
        if not isinstance(call, mem.CallOp):
            continue
        inner = call.kernel.call
        for value, argument in zip(call.ins, inner.body.block.args, strict=True):
            limit = _index_limit(argument)
            place, _ = mem.place_of(value)
            if limit is not None and (place not in found or limit[0] < found[place][0]):
                found[place] = limit
    return found


def _index_limit(argument: SSAValue) -> Range | None:
    for use in argument.uses:
        op = use.operation
        if isinstance(op, EmbeddingOp) and argument is op.ids:
            return shape_of(op.table)[0], None
        if isinstance(op, GatheringOp) and argument is op.ids and text(op.out_of_range) == "check":
            return shape_of(op.x)[integer(op.axis)], None
        if isinstance(op, CrossEntropyOp) and argument is op.labels:
            return shape_of(op.logits)[-1], integer(op.ignore_index)
    return None
