"""Loss functions."""

from __future__ import annotations

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
    splat_like,
    transpose,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import (
    AddOp,
    CompareOp,
    DivOp,
    LogicalAndOp,
    MulOp,
    NegOp,
    SelectOp,
    SquareOp,
    SubOp,
)
from pock_ir.dialects.loss import CrossEntropyOp
from pock_ir.dialects.reduce import MeanOp, SumOp
from pock_ir.dialects.shape import BroadcastOp, IotaOp
from pock_ir.dialects.softmax import LogSoftmaxOp
from pock_ir.types import dtype_of, shape_of, tensor

aten = torch.ops.aten

REDUCTIONS = ("none", "mean", "sum")
"""PyTorch passes the reduction of a loss as an index into this."""


@handles(aten.cross_entropy_loss.default)
def cross_entropy(call: Call) -> SSAValue:
    """Cross entropy against class labels or class probabilities.

    Labels with a mean or sum are one op; class weights and "none" are composed. Probabilities
    give -sum(target * log_softmax(x)) over the classes.
    """
    x, target = _classes_last(call, call.tensor("self"))
    if dtype_of(target).is_float:
        return _against_probabilities(call, x, target)
    reduction = REDUCTIONS[call["reduction"]]
    plain = call["weight"] is None and reduction != "none"
    smoothing = float(call["label_smoothing"])
    if not plain:
        call.require(smoothing == 0.0, "label smoothing needs a mean or sum without class weights")
        return _negative_log_likelihood(call, call.emit(LogSoftmaxOp, x, axis=1), target)
    op = call.emit.op(
        CrossEntropyOp,
        x,
        target,
        ignore_index=int(call["ignore_index"]),
        reduction=reduction,
        label_smoothing=smoothing,
    )
    return op.results[0]


@handles(aten.nll_loss_nd.default)
def nll_loss(call: Call) -> SSAValue:
    """The negative log-likelihood of labels under given log-probabilities."""
    return _negative_log_likelihood(call, *_classes_last(call, call.tensor("self")))


def _classes_last(call: Call, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """x[N, C, d...] and its target as [rows, C] and [rows], or [rows, C] for probabilities."""
    emit, target = call.emit, call.tensor("target")
    shape = shape_of(x) if len(shape_of(x)) > 1 else (1, *shape_of(x))
    order = [0, *range(2, len(shape)), 1]
    rows = torch.Size(shape).numel() // shape[1]

    def flat(value: SSAValue) -> SSAValue:
        moved = transpose(emit, reshape(emit, value, shape), order)
        return reshape(emit, moved, (rows, shape[1]))

    if dtype_of(target).is_float:
        return flat(x), flat(target)
    return flat(x), reshape(emit, target, (rows,))


def _against_probabilities(call: Call, x: SSAValue, target: SSAValue) -> SSAValue:
    emit, smoothing = call.emit, float(call["label_smoothing"])
    call.require(call["weight"] is None, "class weights with probabilities are not supported")
    if smoothing:
        share = smoothing / shape_of(x)[1]
        target = emit(MulOp, target, splat_like(emit, 1.0 - smoothing, target))
        target = emit(AddOp, target, splat_like(emit, share, target))
    products = emit(MulOp, cast(emit, target, dtype_of(x).name), emit(LogSoftmaxOp, x, axis=1))
    costs = emit(NegOp, emit(SumOp, products, axes=[1]))
    return _reduced(call, costs)


def _reduced(call: Call, costs: SSAValue) -> SSAValue:
    """costs[rows] by the call's reduction."""
    reduction = REDUCTIONS[call["reduction"]]
    if reduction == "none":
        return reshape(call.emit, costs, call.shape())
    axes = list(range(len(shape_of(costs))))
    return call.emit(MeanOp if reduction == "mean" else SumOp, costs, axes=axes)


def _negative_log_likelihood(call: Call, log_p: SSAValue, labels: SSAValue) -> SSAValue:
    """-weight[label] * log_p[label] of every row; the mean divides by the sum of the weights.

    A row is picked by comparing its label with the class numbers, so no op has to gather.
    """
    emit = call.emit
    shape, dtype = shape_of(log_p), dtype_of(log_p).name
    column = emit(BroadcastOp, labels, shape=shape, axes=[0])
    classes = emit(IotaOp, axis=1, type=tensor(shape, dtype_of(labels).name))
    chosen = emit(CompareOp, column, classes, predicate="eq")
    ignored = splat_like(emit, call["ignore_index"], column)
    chosen = emit(LogicalAndOp, chosen, emit(CompareOp, column, ignored, predicate="ne"))
    zero = splat_like(emit, 0, log_p)
    weight = call.optional("weight")
    weights = splat_like(emit, 1, log_p) if weight is None else broadcast(emit, weight, shape)
    costs = emit(NegOp, _picked(emit, chosen, emit(MulOp, log_p, weights), zero))
    if REDUCTIONS[call["reduction"]] != "mean":
        return _reduced(call, costs)
    total = emit(SumOp, _picked(emit, chosen, cast(emit, weights, dtype), zero), axes=[0])
    return emit(DivOp, emit(SumOp, costs, axes=[0]), total)


def _picked(emit: Emitter, chosen: SSAValue, x: SSAValue, zero: SSAValue) -> SSAValue:
    """x[row, c] where chosen, summed to one number for each row."""
    return emit(SumOp, emit(SelectOp, chosen, x, zero), axes=[1])


@handles(aten.mse_loss.default)
def mse_loss(call: Call) -> SSAValue:
    """The squared difference, reduced."""
    emit, dtype = call.emit, dtype_of(call.result()).name
    shape = torch.broadcast_shapes(call.meta("self").shape, call.meta("target").shape)
    x, target = (
        broadcast(emit, cast(emit, call.tensor(name), dtype), tuple(shape))
        for name in ("self", "target")
    )
    return _reduced(call, emit(SquareOp, emit(SubOp, x, target)))
