"""Normalisation of Keras on the JAX backend: statistics and their use, as one op.

Importing this module adds its handlers to the JAX importer's table of named calls, which therefore
has them only where Keras is.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import BlockArgument, SSAValue

from pock.frontends.common.steps import (
    reshape,
    splat,
)
from pock.frontends.jax.ops.norm import Statistics, batch_norm
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, MomentsOp
from pock_ir.types import Tensor, dtype_of, shape_of, tensor


@takes_whole("keras_moments")
def moments(call: Call) -> Sequence[SSAValue]:
    """Mean and biased variance of each channel."""
    emit, x = call.emit, call.x()
    rank = len(shape_of(x))
    axes = tuple(sorted(axis % rank for axis in call.params["axes"]))
    kept = [axis for axis in range(rank) if axis not in axes]
    if len(kept) != 1 or dtype_of(x).name != call.dtype():
        raise Decline
    op = emit.op(MomentsOp, x, axis=kept[0])
    mean, variance = (reshape(emit, value, call.shape()) for value in op.results)
    call.memory["moments", mean] = Statistics(x, axes, op, mean, variance)
    return mean, variance


@takes_whole("keras_batch_norm")
def batch_normalization(call: Call) -> SSAValue:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with statistics of x or stored ones.

    Statistics that are computed in another way are left as they are: gradients pass them.
    """
    emit = call.emit
    x, mean, variance = (call.x(_place(call, name)) for name in ("x", "mean", "variance"))
    if {dtype_of(value).name for value in (x, mean, variance)} != {call.dtype()}:
        raise Decline
    scale, offset = _parameter(call, "scale", 1.0, mean), _parameter(call, "offset", 0.0, mean)
    rank, eps = len(shape_of(x)), float(call.params["epsilon"])
    axis = call.params["axis"] % rank
    others = tuple(other for other in range(rank) if other != axis)
    found: Statistics | None = call.memory.get(("moments", mean))
    if found is None:
        if not all(isinstance(value, BlockArgument) for value in (mean, variance)):
            raise Decline
        return emit(BatchNormInferenceOp, x, scale, offset, mean, variance, axis=axis, eps=eps)
    if found.x is not x or found.variance is not variance or found.axes != others:
        raise Decline
    return batch_norm(emit, found, (x, scale, offset), axis, eps)


@takes_whole("keras_layer_norm")
def layer_normalization(call: Call) -> SSAValue:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axes.

    Keras computes x times a factor plus a shift instead, which contraction would make inexact where
    x is its own mean: a row of one element.
    """
    emit, x, eps = call.emit, call.x(_place(call, "x")), call.params["epsilon"]
    shape, axis = shape_of(x), call.params["axis"]
    axes = sorted(a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis))
    if axes != list(range(axes[0], len(shape))) or call.params["rms_scaling"] or eps is None:
        raise Decline
    if dtype_of(x).name != call.dtype():
        raise Decline
    like = tensor(shape[axes[0] :], call.dtype())
    gamma, beta = _affine(call, "gamma", 1.0, like), _affine(call, "beta", 0.0, like)
    return emit.op(LayerNormOp, x, gamma, beta, axis=axes[0], eps=float(eps)).results[0]


def _affine(call: Call, name: str, default: float, type: Tensor) -> SSAValue:
    """A parameter of `type`, or a constant where the layer has none."""
    place = call.at(name)
    if place is None:
        return splat(call.emit, default, type)
    value = call.x(place)
    if value.type != type:
        raise Decline
    return value


def _place(call: Call, name: str) -> int:
    place = call.at(name)
    if place is None:
        raise Decline
    return place


def _parameter(call: Call, name: str, default: float, mean: SSAValue) -> SSAValue:
    """A parameter of the channels that `mean` has, or a constant where the layer has none."""
    return _affine(call, name, default, tensor(shape_of(mean), call.dtype()))
