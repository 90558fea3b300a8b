"""Pad, concatenate and transpose: kernels that move elements of any type."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, cast

from xdsl.ir import Operation

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.shape import ConcatOp, PadOp, TransposeOp
from pock_ir.lowering.loops.program import row_major
from pock_ir.op import PockOp, integer, ints, number
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import ANY, PlainKernel
from pock_ir.targets.c.scalar_c import literal
from pock_ir.types import dtype_of, num_elements, shape_of

TILE = 16
"""Side of a transposed block, in elements: its 16 cache lines of 64 bytes stay in L1."""


class ConcatKernel(PlainKernel):
    """One memcpy per operand and point of the dims before the axis."""

    name = "concat"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (ConcatOp,)
    FLOATS: ClassVar[tuple[str, ...]] = ANY
    REPEATED: ClassVar[bool] = True

    def units(self, op: PockOp, target: Target) -> int:
        return prod(shape_of(op.results[0])[: integer(cast(ConcatOp, op).axis)])

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        axis = integer(cast(ConcatOp, op).axis)
        size = dtype_of(op.results[0]).bytes
        row = prod(shape_of(op.results[0])[axis:])
        lines = [self.bounds(call, target), "    for (size_t i = first; i < last; i++) {"]
        offset = 0
        for index, operand in enumerate(op.operands):
            piece = prod(shape_of(operand)[axis:])
            to = f"r0 + i * {row} + {offset}"
            source = f"{self.argument(op, index)} + i * {piece}"
            lines.append(f"        memcpy({to}, {source}, {piece * size});")
            offset += piece
        return "\n".join([*lines, "    }"])


class PadKernel(PlainKernel):
    """Row by row: the elements before, a copy, the elements behind."""

    name = "pad"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (PadOp,)
    FLOATS: ClassVar[tuple[str, ...]] = ("f32",)

    def units(self, op: PockOp, target: Target) -> int:
        return prod(shape_of(op.results[0])[: _last_padded(cast(PadOp, op))])

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        pad = cast(PadOp, op)
        before, after = shape_of(pad.x), shape_of(pad.results[0])
        low = ints(pad.low)
        axis = _last_padded(pad)
        inner = prod(before[axis + 1 :])
        start = (low[axis] if low else 0) * inner
        count, row = prod(before[axis:]), prod(after[axis:])
        dtype = dtype_of(pad.x)
        value = literal(number(pad.value), dtype)
        tests, index = _inside(before, after, low, axis)
        return f"""{self.bounds(call, target)}
    for (size_t i = first; i < last; i++) {{
        {dtype.c} *to = r0 + i * {row};
        const int inside = {tests};
        const size_t begin = inside ? {start} : {row}, end = inside ? {start + count} : {row};
        for (size_t j = 0; j < begin; j++)
            to[j] = {value};
        if (inside)
            memcpy(to + begin, a0 + ({index}) * {count}, {count * dtype.bytes});
        for (size_t j = end; j < {row}; j++)
            to[j] = {value};
    }}"""


def _last_padded(op: PadOp) -> int:
    padded = [
        i for i, pads in enumerate(zip(ints(op.low), ints(op.high), strict=True)) if any(pads)
    ]
    return padded[-1] if padded else 0


def _inside(
    before: Sequence[int], after: Sequence[int], low: Sequence[int], axis: int
) -> tuple[str, str]:
    """C text: whether row i of the result has elements of x, and which row of x it is."""
    tests, index = ["1"], "0"
    for dim in range(axis):
        below = prod(after[dim + 1 : axis])
        place = f"i / {below} % {after[dim]}"
        if before[dim] != after[dim]:
            # One comparison does both ends: below the range the difference wraps around.
            tests.append(f"{place} - {low[dim]} < {before[dim]}")
        index = f"({index}) * {before[dim]} + ({place} - {low[dim]})"
    return " && ".join(tests[1:] or tests), index


class TransposeKernel(PlainKernel):
    """Square blocks of the two dims that are innermost before and after; rows if they are one."""

    name = "transpose"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (TransposeOp,)
    FLOATS: ClassVar[tuple[str, ...]] = ANY

    def seconds(self, call: Operation, target: Target) -> float:
        moved = num_elements(self.op(call).results[0])
        return super().seconds(call, target) + moved / (8 * target.rates.bandwidth)

    def units(self, op: PockOp, target: Target) -> int:
        sizes, _ = _outer(cast(TransposeOp, op))
        return max(prod(sizes), 1)

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        transpose = cast(TransposeOp, op)
        shape, strides = _collapsed(transpose)
        steps = row_major(shape)
        sizes, dims = _outer(transpose)
        lines = [self.bounds(call, target), "    for (size_t i = first; i < last; i++) {"]
        source, to = "a0", "r0"
        for position, dim in enumerate(dims):
            below = prod(sizes[position + 1 :])
            place = f"i / {below} % {shape[dim]}"
            source += f" + {place} * {strides[dim]}"
            to += f" + {place} * {steps[dim]}"
        element = dtype_of(transpose.x)
        lines.append(f"        const {element.c} *x = {source};")
        lines.append(f"        {element.c} *y = {to};")
        lines += _block(shape, strides, element.bytes)
        return "\n".join([*lines, "    }"])


def _collapsed(op: TransposeOp) -> tuple[list[int], list[int]]:
    """The result's shape and the operand's stride for each of its dims, without dims of size 1
    and with dims joined that stay neighbours."""
    before = row_major(shape_of(op.x))
    order = ints(op.permutation)
    shape: list[int] = []
    strides: list[int] = []
    for size, stride in zip(shape_of(op.results[0]), [before[i] for i in order], strict=True):
        if size == 1:
            continue
        if strides and strides[-1] == stride * size:
            shape[-1], strides[-1] = shape[-1] * size, stride
        else:
            shape.append(size)
            strides.append(stride)
    return (shape, strides) if shape else ([1], [1])


def _outer(op: TransposeOp) -> tuple[list[int], list[int]]:
    """Sizes and numbers of the collapsed dims that no block covers."""
    shape, strides = _collapsed(op)
    covered = {len(shape) - 1, strides.index(1)}
    dims = [dim for dim in range(len(shape)) if dim not in covered]
    return [shape[dim] for dim in dims], dims


def _block(shape: Sequence[int], strides: Sequence[int], size: int) -> list[str]:
    columns, rows = shape[-1], shape[strides.index(1)]
    if strides[-1] == 1:
        return [f"        memcpy(y, x, {columns * size});"]
    step = row_major(shape)[list(strides).index(1)]
    return [
        f"        for (size_t p = 0; p < {rows}; p += {TILE})",
        f"            for (size_t q = 0; q < {columns}; q += {TILE}) {{",
        f"                const size_t pe = p + {TILE} < {rows} ? p + {TILE} : {rows};",
        f"                const size_t qe = q + {TILE} < {columns} ? q + {TILE} : {columns};",
        "                for (size_t j = p; j < pe; j++)",
        "                    for (size_t k = q; k < qe; k++)",
        f"                        y[j * {step} + k] = x[k * {strides[-1]} + j];",
        "            }",
    ]
