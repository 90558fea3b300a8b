"""Normalisations. Running statistics are explicit arithmetic on the batch statistics."""

from __future__ import annotations

from math import prod

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
    splat,
    splat_like,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp, MulOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp
from pock_ir.dialects.rms_norm import RmsNormOp
from pock_ir.types import Tensor, dtype_of, shape_of, tensor

aten = torch.ops.aten


def _or_splat(call: Call, name: str, value: float, type: Tensor) -> SSAValue:
    """The tensor `name` in the element type of `type`, or a constant in its place."""
    found = call.optional(name)
    if found is None:
        return splat(call.emit, value, type)
    return cast(call.emit, found, dtype_of(type).name)


def _affine(call: Call, type: Tensor) -> tuple[SSAValue, SSAValue]:
    return _or_splat(call, "weight", 1.0, type), _or_splat(call, "bias", 0.0, type)


def _per_channel(x: SSAValue) -> Tensor:
    return tensor((shape_of(x)[1],), dtype_of(x).name)


@handles(aten._native_batch_norm_legit_functional.default)
def batch_norm_training(call: Call) -> tuple[SSAValue | None, ...]:
    """Batch norm with the statistics of the batch, and the new running statistics.

    Results 0, 3 and 4 of PyTorch's operator; its saved statistics are never used by a program.
    """
    if not call["training"]:
        return (_with_running_statistics(call), None, None, None, None)
    y, mean, variance = _with_batch_statistics(call)
    count = prod(shape_of(y)) // shape_of(y)[1]
    call.require(count > 1, "batch norm needs more than one value per channel in training")
    # The batch is normalised by its biased variance; the running variance takes the unbiased one.
    factor = count / (count - 1)
    unbiased = call.emit(MulOp, variance, splat_like(call.emit, factor, variance))
    momentum = call["momentum"]
    new_mean = moving_average(call.emit, call.tensor("running_mean"), mean, momentum)
    new_variance = moving_average(call.emit, call.tensor("running_var"), unbiased, momentum)
    return (y, None, None, new_mean, new_variance)


def moving_average(emit: Emitter, old: SSAValue, new: SSAValue, momentum: float) -> SSAValue:
    """(1 - momentum) * old + momentum * new: PyTorch's momentum is the weight of the new value."""
    new = cast(emit, new, dtype_of(old).name)
    kept = emit(MulOp, old, splat_like(emit, 1.0 - momentum, old))
    return emit(AddOp, kept, emit(MulOp, new, splat_like(emit, momentum, new)))


@handles(aten._native_batch_norm_legit.no_stats)
def batch_norm_without_statistics(call: Call) -> tuple[SSAValue | None, ...]:
    """Batch norm that keeps no running statistics (track_running_stats=False)."""
    return (_with_batch_statistics(call)[0], None, None)


@handles(aten._native_batch_norm_legit_no_training.default)
def batch_norm_inference(call: Call) -> tuple[SSAValue | None, ...]:
    """Batch norm with running statistics: the layer is frozen, or the model is in eval mode."""
    return (_with_running_statistics(call), None, None)


def _with_batch_statistics(call: Call) -> tuple[SSAValue, SSAValue, SSAValue]:
    x = call.tensor("input")
    op = call.emit.op(
        BatchNormOp, x, *_affine(call, _per_channel(x)), axis=1, eps=float(call["eps"])
    )
    y, mean, variance = op.results
    return y, mean, variance


def _with_running_statistics(call: Call) -> SSAValue:
    x = call.tensor("input")
    type = _per_channel(x)
    mean, variance = (_or_splat(call, name, 0.0, type) for name in ("running_mean", "running_var"))
    eps = float(call["eps"])
    return call.emit(BatchNormInferenceOp, x, *_affine(call, type), mean, variance, axis=1, eps=eps)


@handles(aten.layer_norm.default)
def layer_norm(call: Call) -> SSAValue:
    """Normalisation over the last dims."""
    x = call.tensor("input")
    shape = tuple(call["normalized_shape"])
    axis = len(shape_of(x)) - len(shape)
    affine = _affine(call, tensor(shape, dtype_of(x).name))
    return call.emit.op(LayerNormOp, x, *affine, axis=axis, eps=float(call["eps"])).results[0]


@handles(aten.group_norm.default)
def group_norm(call: Call) -> SSAValue:
    """Normalisation of each sample over groups of channels, then a factor and shift per channel."""
    emit, x = call.emit, call.tensor("input")
    shape = shape_of(x)
    channels, groups = shape[1], call["num_groups"]
    grouped = reshape(emit, x, (shape[0], groups, prod(shape[1:]) // groups))
    inner = tensor(shape_of(grouped)[2:], dtype_of(x).name)
    one, zero = splat(emit, 1.0, inner), splat(emit, 0.0, inner)
    y = emit.op(LayerNormOp, grouped, one, zero, axis=2, eps=float(call["eps"])).results[0]
    y = reshape(emit, y, shape)
    column = (channels, *(1 for _ in shape[2:]))
    for name, op_type in (("weight", MulOp), ("bias", AddOp)):
        value = call.optional(name)
        if value is not None:
            y = emit(op_type, y, broadcast(emit, reshape(emit, value, column), shape))
    return y


@handles(aten.rms_norm.default)
def rms_norm(call: Call) -> SSAValue:
    """x / sqrt(mean of x^2 + eps) over the last dims, times a weight."""
    emit, x = call.emit, call.tensor("input")
    shape = shape_of(x)
    axis = len(shape) - len(call["normalized_shape"])
    eps = torch.finfo(call.meta("input").dtype).eps if call["eps"] is None else call["eps"]
    gamma = _or_splat(call, "weight", 1.0, tensor(shape[axis:], dtype_of(x).name))
    return emit.op(RmsNormOp, x, gamma, axis=axis, eps=float(eps)).results[0]
