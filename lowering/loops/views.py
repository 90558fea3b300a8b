"""Tensors that are views of a kernel's arguments: where their elements lie."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import BlockArgument, OpResult, SSAValue

from pock_ir.dialects.shape import BroadcastOp, ReshapeOp, SliceOp, TransposeOp
from pock_ir.lowering.loops.program import row_major
from pock_ir.op import ints
from pock_ir.types import shape_of


@dataclass(frozen=True)
class View:
    """Element (i, j, ...) of a tensor is element offset + i * strides[0] + ... of argument
    number `argument`."""

    argument: int
    strides: tuple[int, ...]
    offset: int = 0


def view_of(value: SSAValue) -> View | None:
    """How `value` lies in an argument of its block; None if it has to be computed."""
    if isinstance(value, BlockArgument):
        return View(value.index, row_major(shape_of(value)))
    if not isinstance(value, OpResult):
        return None
    op = value.op
    if not isinstance(op, BroadcastOp | ReshapeOp | SliceOp | TransposeOp):
        return None
    source = view_of(op.operands[0])
    if source is None:
        return None
    match op:
        case BroadcastOp():
            return _broadcast(op, source)
        case ReshapeOp():
            return _reshape(op, source)
        case SliceOp():
            return _slice(op, source)
        case TransposeOp():
            strides = tuple(source.strides[i] for i in ints(op.permutation))
            return View(source.argument, strides, source.offset)


def _broadcast(op: BroadcastOp, source: View) -> View:
    strides = [0] * len(ints(op.shape))
    for stride, axis in zip(source.strides, ints(op.axes), strict=True):
        strides[axis] = stride
    return View(source.argument, tuple(strides), source.offset)


def _slice(op: SliceOp, source: View) -> View:
    steps = ints(op.stride)
    strides = tuple(a * b for a, b in zip(source.strides, steps, strict=True))
    offset = sum(a * b for a, b in zip(source.strides, ints(op.begin), strict=True))
    return View(source.argument, strides, source.offset + offset)


def _reshape(op: ReshapeOp, source: View) -> View | None:
    """A dense tensor keeps its order; another one only changes dims of size 1."""
    before, after = shape_of(op.operands[0]), shape_of(op.results[0])
    if source.strides == row_major(before):
        return View(source.argument, row_major(after), source.offset)
    strides = reshaped(before, after, source.strides)
    return None if strides is None else View(source.argument, strides, source.offset)


def reshaped(
    before: tuple[int, ...], after: tuple[int, ...], items: tuple[int, ...]
) -> tuple[int, ...] | None:
    """One item per dim of `after` from one per dim of `before`, where they differ by dims of size
    1 only; those get 0. None if they differ otherwise."""
    if [size for size in before if size != 1] != [size for size in after if size != 1]:
        return None
    kept = iter([item for size, item in zip(before, items, strict=True) if size != 1])
    return tuple(0 if size == 1 else next(kept) for size in after)
