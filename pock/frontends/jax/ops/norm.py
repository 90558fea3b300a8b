"""Normalisation layers of flax: statistics and their use, found again as one op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import BlockArgument, Operation, SSAValue

from pock.frontends.common.steps import (
    reshape,
    splat,
)
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.build import Emitter
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp, MomentsOp
from pock_ir.dialects.shape import ConstantOp
from pock_ir.types import dtype_of, shape_of, tensor

# pock computes variances in two passes, flax in one: the same but for rounding, which two passes
# have less of.


@dataclass(frozen=True)
class Statistics:
    """Where a mean and a variance come from: x, the axes that they are over, and the op."""

    x: SSAValue
    axes: tuple[int, ...]
    op: Operation
    mean: SSAValue
    variance: SSAValue


@takes_whole("moments")
def moments(call: Call) -> Sequence[SSAValue]:
    """Mean and biased variance of each channel, or of each row for layer normalisation."""
    params = call.params
    plain = params["axis_name"] is None and params["use_mean"] and params.get("mask") is None
    if len(call) != 1 or not plain:
        raise Decline
    emit, x = call.emit, call.x()
    if dtype_of(x).name != call.dtype():
        raise Decline
    shape = shape_of(x)
    axes = tuple(sorted(axis % len(shape) for axis in _listed(params["axes"])))
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    rows = prod(shape[axis] for axis in kept)
    if len(kept) == 1:
        op = emit.op(MomentsOp, x, axis=kept[0])
        mean, variance = op.results
    elif axes and axes == tuple(range(len(kept), len(shape))):
        flat = reshape(emit, x, (rows, prod(shape[axis] for axis in axes)))
        op = emit.op(MomentsOp, flat, axis=0)
        mean, variance = (reshape(emit, value, call.shape()) for value in op.results)
    else:
        raise Decline
    call.memory["moments", mean] = Statistics(x, axes, op, mean, variance)
    return mean, variance


def _listed(axes: int | Sequence[int]) -> Sequence[int]:
    return (axes,) if isinstance(axes, int) else tuple(axes)


@takes_whole("normalize")
def normalize(call: Call) -> SSAValue:
    """(x - mean) / sqrt(variance + eps) * scale + bias as batch or layer normalisation."""
    emit, params = call.emit, call.params
    x, mean, variance = (call.x(_place(call, name)) for name in ("x", "mean", "var"))
    shape = shape_of(x)
    rank = len(shape)
    reduced = tuple(sorted(axis % rank for axis in _listed(params["reduction_axes"])))
    features = tuple(sorted(axis % rank for axis in _listed(params["feature_axes"])))
    if {dtype_of(value).name for value in (x, mean, variance)} != {call.dtype()}:
        raise Decline
    found: Statistics | None = call.memory.get(("moments", mean))
    is_own = found is not None and found.x is x and found.axes == reduced
    is_own = is_own and found is not None and found.variance is variance
    kept = tuple(axis for axis in range(rank) if axis not in reduced)
    eps = float(params["epsilon"])
    if len(kept) == 1 and features == kept:
        scale, bias = (_parameter(call, name, one, shape, kept) for name, one in NAMES)
        if not is_own or found is None:
            given = (x, scale, bias, mean, variance)
            return emit(BatchNormInferenceOp, *given, axis=kept[0], eps=eps)
        return batch_norm(emit, found, (x, scale, bias), kept[0], eps)
    if is_own and found is not None and reduced == features == tuple(range(len(kept), rank)):
        scale, bias = (_parameter(call, name, one, shape, features) for name, one in NAMES)
        return emit.op(LayerNormOp, x, scale, bias, axis=len(kept), eps=eps).results[0]
    raise Decline


NAMES = (("scale", 1.0), ("bias", 0.0))


def _place(call: Call, name: str) -> int:
    place = call.at(name)
    if place is None:
        raise Decline
    return place


def _parameter(
    call: Call, name: str, default: float, shape: Sequence[int], axes: Sequence[int]
) -> SSAValue:
    """A parameter over `axes`, or a constant where the layer has none."""
    sizes, place = [shape[axis] for axis in axes], call.at(name)
    if place is None:
        return splat(call.emit, default, tensor(sizes, call.dtype()))
    value = call.x(place)
    if dtype_of(value).name != call.dtype() or shape_of(value) != tuple(sizes):
        raise Decline
    return value


def batch_norm(
    emit: Emitter, found: Statistics, operands: Sequence[SSAValue], axis: int, eps: float
) -> SSAValue:
    """Batch normalisation in the place of its statistics, so that both are computed once.

    If a parameter is computed behind them, the statistics stay where they are.
    """
    _, scale, bias = operands
    properties = {"axis": axis, "eps": eps}
    if not all(isinstance(value, BlockArgument) for value in (scale, bias)):
        early = [
            isinstance(v.owner, ConstantOp) or isinstance(v, BlockArgument) for v in (scale, bias)
        ]
        if not all(early):
            return emit.op(BatchNormOp, *operands, **properties).results[0]
        for value in (scale, bias):
            if isinstance(value.owner, ConstantOp):
                value.owner.detach()
                Emitter.before(found.op).insert(value.owner)
    op = Emitter.before(found.op).op(BatchNormOp, *operands, **properties)
    y, mean, variance = op.results
    found.op.results[0].replace_all_uses_with(mean)
    found.op.results[1].replace_all_uses_with(variance)
    return y
