"""How each op moves past the transpose between NHWC and NCHW.

A convolution in NHWC is written as to_nchw(conv(to_nhwc(x))). The rules then move every to_nchw
down, past whatever can also be said of its operand, until it meets a to_nhwc and both vanish. An
op whose other operand is not transposed transposes that one: broadcasts and constants absorb it.
What cannot move (a flattening reshape, dropout, a returned value) keeps its transpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.ir import Operation, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp, MomentsOp
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from pock_ir.dialects.shape import ConcatOp, PadOp, SliceOp
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxOp
from pock_ir.op import PockOp, integer, ints, text
from pock_ir.passes.canonicalize import before_transpose, transpose
from pock_ir.passes.rewrite import Rule
from pock_ir.types import shape_of

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)
OIHW_TO_HWIO = (2, 3, 1, 0)


def nhwc_of(value: SSAValue) -> SSAValue | None:
    """x if `value` is to_nchw(x), else None."""
    return before_transpose(value, TO_NCHW)


def _moved_operands(op: Operation, emit: Emitter) -> list[SSAValue] | None:
    """All operands in NHWC if one of them is to_nchw of something, else None."""
    sources = [nhwc_of(operand) for operand in op.operands]
    if all(source is None for source in sources):
        return None
    return [
        transpose(emit, operand, TO_NHWC) if source is None else source
        for source, operand in zip(sources, op.operands, strict=True)
    ]


def convolve_nhwc(op: Conv2dOp, emit: Emitter) -> SSAValue | None:
    """conv(x, w) -> to_nchw(conv(to_nhwc(x), w in hwio))"""
    if text(op.layout) == "nhwc":
        return None
    is_hwio = text(op.weight_layout) == "hwio"
    w = op.w if is_hwio else transpose(emit, op.w, OIHW_TO_HWIO)
    properties = {**op.properties, "layout": "nhwc", "weight_layout": "hwio"}
    y = emit(Conv2dOp, transpose(emit, op.x, TO_NHWC), w, **properties)
    return transpose(emit, y, TO_NCHW)


def pool_nhwc(op: MaxPool2dOp | AvgPool2dOp, emit: Emitter) -> SSAValue | None:
    """pool(x) -> to_nchw(pool(to_nhwc(x)))"""
    if text(op.layout) == "nhwc":
        return None
    properties = {**op.properties, "layout": "nhwc"}
    y = emit(type(op), transpose(emit, op.x, TO_NHWC), **properties)
    return transpose(emit, y, TO_NCHW)


def sink_past_elementwise(op: ElementwiseOp, emit: Emitter) -> SSAValue | None:
    """f(to_nchw(x), y) -> to_nchw(f(x, to_nhwc(y)))"""
    operands = _moved_operands(op, emit)
    if operands is None:
        return None
    return transpose(emit, emit(type(op), *operands, **op.properties), TO_NCHW)


def sink_past_concat(op: ConcatOp, emit: Emitter) -> SSAValue | None:
    """concat(to_nchw(x), ...) -> to_nchw(concat(x, ...)) along the moved axis"""
    operands = _moved_operands(op, emit)
    if operands is None:
        return None
    return transpose(emit, emit(ConcatOp, *operands, axis=TO_NCHW[integer(op.axis)]), TO_NCHW)


def sink_past_norm(op: PockOp, emit: Emitter) -> Sequence[SSAValue] | None:
    """batch_norm(to_nchw(x)) -> to_nchw(batch_norm(x)) with the moved axis; statistics stay"""
    x = nhwc_of(op.operands[0])
    if x is None:
        return None
    axis = TO_NCHW[integer(op.properties["axis"])]
    properties = {**op.properties, "axis": axis}
    results = emit.op(type(op), x, *op.operands[1:], **properties).results
    return [_like(emit, new, old) for new, old in zip(results, op.results, strict=True)]


def _like(emit: Emitter, new: SSAValue, old: SSAValue) -> SSAValue:
    """A result in the layout of the one that it replaces; statistics [C] have none."""
    return transpose(emit, new, TO_NCHW) if len(shape_of(old)) == 4 else new


def sink_past_softmax(op: SoftmaxOp | LogSoftmaxOp, emit: Emitter) -> SSAValue | None:
    """softmax(to_nchw(x)) -> to_nchw(softmax(x)) along the moved axis"""
    x = nhwc_of(op.x)
    if x is None:
        return None
    return transpose(emit, emit(type(op), x, axis=TO_NCHW[integer(op.axis)]), TO_NCHW)


def sink_past_reduction(op: PockOp, emit: Emitter) -> SSAValue | None:
    """sum(to_nchw(x)) -> sum(x) over the moved axes; what remains may be in another order"""
    x = nhwc_of(op.operands[0])
    if x is None:
        return None
    axes = ints(op.properties["axes"])
    kept = [TO_NCHW[axis] for axis in range(4) if axis not in axes]
    y = emit(type(op), x, axes=sorted(TO_NCHW[axis] for axis in axes))
    return transpose(emit, y, [sorted(kept).index(axis) for axis in kept])


def _moved(values: Sequence[int]) -> list[int]:
    """One number for each NCHW dim, reordered to NHWC."""
    return [values[axis] for axis in TO_NHWC]


def sink_past_slice(op: SliceOp, emit: Emitter) -> SSAValue | None:
    """slice(to_nchw(x)) -> to_nchw(slice(x))"""
    x = nhwc_of(op.x)
    if x is None:
        return None
    bounds = (_moved(ints(bound)) for bound in (op.begin, op.end, op.stride))
    begin, end, stride = bounds
    return transpose(emit, emit(SliceOp, x, begin=begin, end=end, stride=stride), TO_NCHW)


def sink_past_pad(op: PadOp, emit: Emitter) -> SSAValue | None:
    """pad(to_nchw(x)) -> to_nchw(pad(x))"""
    x = nhwc_of(op.x)
    if x is None:
        return None
    low, high = _moved(ints(op.low)), _moved(ints(op.high))
    return transpose(emit, emit(PadOp, x, low=low, high=high, value=op.value), TO_NCHW)


NHWC_RULES: Mapping[type[Operation], Sequence[Rule]] = {
    AvgPool2dOp: [pool_nhwc],
    BatchNormInferenceOp: [sink_past_norm],
    BatchNormOp: [sink_past_norm],
    ConcatOp: [sink_past_concat],
    Conv2dOp: [convolve_nhwc],
    ElementwiseOp: [sink_past_elementwise],
    LogSoftmaxOp: [sink_past_softmax],
    MaxOp: [sink_past_reduction],
    MaxPool2dOp: [pool_nhwc],
    MeanOp: [sink_past_reduction],
    MomentsOp: [sink_past_norm],
    PadOp: [sink_past_pad],
    SliceOp: [sink_past_slice],
    SoftmaxOp: [sink_past_softmax],
    SumOp: [sink_past_reduction],
}
