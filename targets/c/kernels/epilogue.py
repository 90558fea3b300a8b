"""The ops of a kernel's body that follow its main op, as C text for one vector of the result.

A call that a hot kernel takes has the body: one main op (a product, a convolution), then ops that
compute element i of the results from element i of the main op's result and of other tensors, of
broadcasts of tensors, and of scalars. They run while the main result is in registers.

The main result is seen as a matrix: its last axis is the column, all others together the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from xdsl.ir import BlockArgument, Operation, OpResult, SSAValue

from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.embedding import EmbeddingGradOp
from pock_ir.dialects.kern import NONE, CallOp, body_ops, reuses_of, updates_of, yielded
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, ReshapeOp
from pock_ir.lowering.loops.spill import EXPENSIVE
from pock_ir.lowering.loops.updates import UPDATES
from pock_ir.op import PockOp, ints
from pock_ir.target import Target
from pock_ir.targets.c.kernels.vector import Vector
from pock_ir.targets.c.scalar_c import SPLATS, BodyEmitter, value_type
from pock_ir.types import dtype_of, shape_of

Shape = tuple[int, ...]


INDEXED: tuple[type[PockOp], ...] = (EmbeddingGradOp,)
"""Main ops with an operand of indices, which the epilogue does not read."""


def _is_index(value: SSAValue) -> bool:
    return dtype_of(value).name in ("i32", "i64") and len(shape_of(value)) > 0


def main_op(call: Operation, kind: type[PockOp]) -> PockOp | None:
    """The first op of the body if it is a `kind` and the rest is an epilogue of f32 elements.

    None if `call` is not such a call, or has another main op. Every element has to be non-empty.
    """
    ops = body_ops(call) if isinstance(call, CallOp) else []
    if not ops or not isinstance(ops[0], kind):
        return None
    tensors = [*call.operands, *call.results, *ops[0].results]
    if any(0 in shape_of(value) for value in tensors):
        return None
    assert isinstance(call, CallOp)
    return ops[0] if _is_epilogue(call, ops[0]) else None


def _is_epilogue(call: CallOp, main: PockOp) -> bool:
    if len(main.results) != 1 or not all(isinstance(x, BlockArgument) for x in main.operands):
        return False
    shape = shape_of(main.results[0])
    if any(shape_of(value) != shape for value in yielded(call)):
        return False
    indices = [value for value in main.operands if type(main) in INDEXED and _is_index(value)]
    computed = [value for value in main.operands if value not in indices]
    if any(dtype_of(value).name != "f32" for value in (*yielded(call), *computed)):
        return False
    others = [value for value in call.body.block.args if value not in indices]
    if any(dtype_of(value).name not in ("f32", "i32") for value in others):
        return False
    return all(_follows(op, shape) for op in body_ops(call)[1:])


def _follows(op: PockOp, shape: Shape) -> bool:
    """Whether `op` may stand in an epilogue of a result of `shape`."""
    if isinstance(op, ConstantOp):
        return dtype_of(op.results[0]).name in ("f32", "i1")
    if isinstance(op, BroadcastOp | ReshapeOp):
        return _is_repeated(op, shape)
    if not (isinstance(op, ElementwiseOp) or type(op) in UPDATES):
        return False
    shapes_fit = all(shape_of(value) in (shape, ()) for value in (*op.operands, *op.results))
    covers = type(op) not in UPDATES or shape_of(op.results[0]) == shape_of(op.operands[0])
    return shapes_fit and covers and all(_is_carried(value) for value in op.operands)


def _is_repeated(op: PockOp, shape: Shape) -> bool:
    """A broadcast to the full shape of an argument, or a view of a scalar."""
    source = op.operands[0]
    if shape_of(source) == () or _is_constant(source):
        return True
    argument = isinstance(op, BroadcastOp) and isinstance(source, BlockArgument)
    return argument and shape_of(op.results[0]) == shape and dtype_of(source).name == "f32"


def _is_constant(value: SSAValue) -> bool:
    return isinstance(value, OpResult) and isinstance(value.op, ConstantOp)


def _is_carried(value: SSAValue) -> bool:
    """f32 anywhere; conditions only between ops, in registers; integers as scalars."""
    name = dtype_of(value).name
    between = name == "i1" and not isinstance(value, BlockArgument)
    return name == "f32" or between or (name == "i32" and shape_of(value) == ())


@dataclass(frozen=True)
class Leaf:
    """A value that the epilogue reads from memory: operand number, and which axes it has.

    axes are those of the main result that the operand has, ascending; None: a scalar.
    """

    value: SSAValue
    operand: int
    axes: tuple[int, ...] | None


def leaves(call: CallOp, main: PockOp) -> list[Leaf]:
    """Everything that the epilogue reads beside the main result, each value once."""
    found: dict[SSAValue, Leaf] = {}
    for value in _read(call, main):
        leaf = _leaf(value, main)
        if leaf is not None and value not in found:
            found[value] = leaf
    return list(found.values())


def _read(call: CallOp, main: PockOp) -> list[SSAValue]:
    values = [value for op in body_ops(call) if op is not main for value in op.operands]
    return [*values, *yielded(call)]


def _leaf(value: SSAValue, main: PockOp) -> Leaf | None:
    rank = len(shape_of(main.results[0]))
    if isinstance(value, BlockArgument):
        if shape_of(value) == ():
            return Leaf(value, value.index, None)
        if shape_of(value) == shape_of(main.results[0]):
            return Leaf(value, value.index, tuple(range(rank)))
        return None  # read through a broadcast
    if isinstance(value, OpResult) and isinstance(value.op, BroadcastOp):
        source = value.op.operands[0]
        if isinstance(source, BlockArgument) and shape_of(source) != ():
            return Leaf(value, source.index, ints(value.op.axes))
    return None


def shared_results(call: CallOp) -> bool:
    """Whether a result stands in the memory of an operand, which the kernel may still read."""
    return any(place != NONE for place in (*updates_of(call), *reuses_of(call)))


def elementwise_reuses(call: CallOp, main: PockOp) -> tuple[int, ...]:
    """For each result, an operand that only the epilogue reads, at the element it writes, or -1."""
    shape = shape_of(main.results[0])
    taken = {place for place in updates_of(call) if place != NONE}
    held = {x.index for x in main.operands if isinstance(x, BlockArgument)}
    full = [leaf.operand for leaf in leaves(call, main) if leaf.axes == tuple(range(len(shape)))]
    other = {leaf.operand for leaf in leaves(call, main) if leaf.operand not in full}
    free = [place for place in full if place not in taken | held | other]
    places: list[int] = []
    for update in updates_of(call):
        places.append(free.pop(0) if update == NONE and free else NONE)
    return tuple(places)


class BodyEpilogue:
    """The epilogue of a call as C text; see `gemm_micro.Epilogue`.

    row_of: turns the C expression of a row of the product into that of a row of the result.
    rank: the number of leading axes that count, if those behind have size 1; None: all.
    """

    def __init__(
        self,
        call: CallOp,
        main: PockOp,
        target: Target,
        row_of: Callable[[str], str] = lambda row: row,
        rank: int | None = None,
    ) -> None:
        self.call = call
        self.main = main
        self.shape = shape_of(main.results[0])[:rank]
        self.row_of = row_of
        self._emitter = BodyEmitter(call, target, prefix="e")
        self._leaves = leaves(call, main)

    @property
    def parameters(self) -> Sequence[str]:
        types = [dtype_of(value).c for value in self.call.operands]
        read = [f"const {types[int(name[1:])]} *{name}" for name in self._read_names]
        return [*read, *(f"float *{name}" for name in self._written_names)]

    @property
    def names(self) -> Sequence[str]:
        return [*self._read_names, *self._written_names]

    @property
    def _read_names(self) -> list[str]:
        return [f"a{index}" for index in sorted({leaf.operand for leaf in self._leaves})]

    @property
    def _written_names(self) -> list[str]:
        return [f"r{index}" for index in range(len(self.call.results))]

    @property
    def weight(self) -> int:
        """Vector statements per vector of the result; a mathematical function counts as 20."""
        return self._weight

    @cached_property
    def _weight(self) -> int:
        lines = self.statements("x", "m", "n", 0, Vector(1))
        return sum(20 if _has_function(line) else 1 for line in lines)

    def partial(self, row: str, column: str) -> str:
        """Between K blocks a sum stands in the first result."""
        return f"r0 + {self.row_of(row)} * {self.shape[-1]} + {column}"

    def statements(
        self, value: str, row: str, column: str, count: int, vector: Vector
    ) -> list[str]:
        if not self._leaves and list(yielded(self.call)) == [self.main.results[0]]:
            return [vector.store_part(self.partial(row, column), value, count)]
        lines = [
            f"const size_t row = {self.row_of(row)}, column = {column};",
            f"const size_t at = row * {self.shape[-1]} + column;",
            f"const {vector.type} x = {value};",
        ]
        known: dict[SSAValue, str] = {self.main.results[0]: "x"}
        for number, leaf in enumerate(self._leaves):
            lines.append(f"const {self._load(leaf, f'y{number}', count, vector)};")
            known[leaf.value] = f"y{number}"
        body, results = self._emitter.statements(known, yielded(self.call), vector.lanes)
        lines += body
        for index, result in enumerate(results):
            lines.append(vector.store_part(f"r{index} + at", result, count))
        return lines

    def _load(self, leaf: Leaf, to: str, count: int, vector: Vector) -> str:
        """The declaration of variable `to` with the elements of `leaf`."""
        name = f"a{leaf.operand}"
        if leaf.axes is None:
            dtype = dtype_of(leaf.value)
            text = f"*{name}" if vector.lanes == 1 else f"{SPLATS[dtype.name]}(*{name})"
            return f"{value_type(dtype, vector.lanes)} {to} = {text}"
        return f"{vector.type} {to} = {self._load_tensor(leaf, name, count, vector)}"

    def _load_tensor(self, leaf: Leaf, name: str, count: int, vector: Vector) -> str:
        rank = len(self.shape)
        axes = [axis for axis in leaf.axes or () if axis < rank]
        if len(axes) == rank:
            return vector.load_part(f"{name} + at", count)
        index = row_index(self.shape, axes)
        if axes and axes[-1] == rank - 1:
            return vector.load_part(f"{name} + {index}column", count)
        return vector.splat(f"{name}[{index.removesuffix(' + ') or '0'}]")


def _has_function(line: str) -> bool:
    return any(f"pock_{name}(" in line for name in EXPENSIVE)


def row_index(shape: Shape, axes: Sequence[int]) -> str:
    """The index in a tensor with `axes` of `shape`, without the last axis, from the C variable
    `row`; "" or a sum that ends in " + "."""
    last = len(shape) - 1
    inner = [axis for axis in axes if axis != last]
    terms = ""
    for position, axis in enumerate(inner):
        stride = prod(shape[other] for other in axes[position + 1 :])
        below = prod(shape[axis + 1 : last])
        text = "row" if below == 1 else f"row / {below}"
        text = text if axis == 0 else f"{text} % {shape[axis]}"
        terms += f"({text}) * {stride} + "
    return terms
