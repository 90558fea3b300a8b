"""Normalisation: the fused operation, and what TensorFlow and Keras write as arithmetic.

`tf.nn.moments` is a mean and a mean of squared differences from it. `tf.nn.batch_normalization` and
Keras's layer normalisation are x * inv + (beta - mean * inv) with inv = gamma / sqrt(variance +
eps). They are recognised by the ops that they have become: an addition that ends one is replaced by
the op for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import BlockArgument, SSAValue

from pock.frontends.common.steps import peel, reshape, splat, splat_like, splat_of
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import (
    AddOp,
    MulOp,
    NegOp,
    RsqrtOp,
    SquareOp,
    StopGradientOp,
    SubOp,
)
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp
from pock_ir.dialects.reduce import MeanOp
from pock_ir.dialects.shape import BroadcastOp
from pock_ir.op import ints
from pock_ir.types import dtype_of, shape_of, tensor


@handles("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(call: Call) -> tuple[SSAValue | None, ...]:
    """Normalised x, and the new running mean and (unbiased) variance."""
    emit, x = call.emit, call.x()
    axis = 3 if call.attr("data_format") == "NHWC" else 1
    scale, offset = call.x(1), call.x(2)
    eps = float(call.attr("epsilon"))
    if not call.attr("is_training"):
        # TensorFlow gives these statistics no gradient.
        mean, variance = (_stopped(call, index) for index in (3, 4))
        given = (x, scale, offset, mean, variance)
        y = emit(BatchNormInferenceOp, *given, axis=axis, eps=eps)
        return y, mean, variance
    y, batch_mean, batch_variance = emit.op(
        BatchNormOp, x, scale, offset, axis=axis, eps=eps
    ).results
    count = prod(shape_of(x)) // shape_of(x)[axis]
    factor = count / max(count - 1, 1)
    unbiased = emit(MulOp, batch_variance, splat_like(emit, factor, batch_variance))
    # The first version has no factor: its statistics are those of the batch.
    weight = float(call.attr("exponential_avg_factor")) if call.name.endswith("V3") else 1.0
    return (
        y,
        _moving(call, 3, batch_mean, weight),
        _moving(call, 4, unbiased, weight),
        None,
    )


def _stopped(call: Call, index: int) -> SSAValue:
    """Operand `index` without a gradient."""
    x = call.x(index)
    return call.emit(StopGradientOp, x) if call.is_active(index) else x


def _moving(call: Call, index: int, new: SSAValue, weight: float) -> SSAValue:
    """(1 - weight) * operand `index` + weight * new; new alone if its weight is 1."""
    if weight == 1.0:
        return new
    parts = [
        call.emit(MulOp, value, splat_like(call.emit, factor, value))
        for value, factor in ((call.x(index), 1.0 - weight), (new, weight))
    ]
    return call.emit(AddOp, *parts)


@dataclass(frozen=True)
class Affine:
    """x * inv + (beta - mean * inv) with inv = gamma / sqrt(variance + eps).

    What is repeated to other shapes is given as it is before; axes are those of x that inv, gamma
    and beta run along (None where there is none). Axes of size 1 count as either.
    """

    x: SSAValue
    gamma: SSAValue | None
    beta: SSAValue | None
    mean: SSAValue
    variance: SSAValue
    eps: float
    axes: tuple[int, ...]
    gamma_axes: tuple[int, ...] | None
    beta_axes: tuple[int, ...] | None


def normalised(emit: Emitter, a: SSAValue, b: SSAValue) -> SSAValue | None:
    """a + b as one normalisation if it is the end of one, else None."""
    for product, rest in ((a, b), (b, a)):
        for found in _affine(product, rest):
            y = _batch_norm(emit, found) or _layer_norm(emit, found)
            if y is not None:
                return y
    return None


def _affine(product: SSAValue, rest: SSAValue) -> Iterator[Affine]:
    """The ways in which `product` + `rest` is a normalisation."""
    if not isinstance(product.owner, MulOp):
        return
    for x, inv in _both(product.owner):
        scale = _scale(peel(inv))
        shift = None if scale is None else _shift(peel(rest), peel(inv))
        if scale is None or shift is None:
            continue
        (gamma, variance, eps), (mean, beta) = scale, shift
        yield Affine(
            x,
            None if gamma is None else peel(gamma),
            None if beta is None else peel(beta),
            mean,
            variance,
            eps,
            _axes_of(inv),
            None if gamma is None else _axes_of(gamma),
            None if beta is None else _axes_of(beta if shape_of(beta) == shape_of(x) else rest),
        )


def _axes_of(value: SSAValue) -> tuple[int, ...]:
    """The axes along which `value` differs: those that it is not repeated along."""
    if isinstance(value.owner, BroadcastOp):
        return ints(value.owner.axes)
    return tuple(axis for axis, size in enumerate(shape_of(value)) if size != 1)


def _runs_along(found: tuple[int, ...] | None, wanted: Sequence[int], x: SSAValue) -> bool:
    """Whether axes are `wanted`, but for those that have size 1; there may be no value at all."""
    if found is None:
        return True
    sizes = shape_of(x)
    return {a for a in found if sizes[a] != 1} == {a for a in wanted if sizes[a] != 1}


def _both(op: MulOp | AddOp) -> Iterator[tuple[SSAValue, SSAValue]]:
    yield op.lhs, op.rhs
    yield op.rhs, op.lhs


def _scale(inv: SSAValue) -> tuple[SSAValue | None, SSAValue, float] | None:
    """(gamma, variance, eps) of 1 / sqrt(variance + eps), times gamma or not."""
    if isinstance(inv.owner, MulOp):
        for root, gamma in _both(inv.owner):
            found = _root(peel(root))
            if found is not None:
                return gamma, *found
        return None
    found = _root(inv)
    return None if found is None else (None, *found)


def _root(value: SSAValue) -> tuple[SSAValue, float] | None:
    """(variance, eps) of 1 / sqrt(variance + eps)."""
    if not isinstance(value.owner, RsqrtOp):
        return None
    total = peel(value.owner.x).owner
    if not isinstance(total, AddOp):
        return None
    for variance, eps in _both(total):
        number = splat_of(eps)
        if number is not None:
            return peel(variance), float(number)
    return None


def _shift(rest: SSAValue, inv: SSAValue) -> tuple[SSAValue, SSAValue | None] | None:
    """(mean, beta) of beta - mean * inv, in the three ways of writing it."""
    op = rest.owner
    if isinstance(op, SubOp):
        mean = _times(peel(op.rhs), inv)
        return None if mean is None else (mean, op.lhs)
    if isinstance(op, AddOp):
        for negative, beta in _both(op):
            mean = _negative_times(peel(negative), inv)
            if mean is not None:
                return mean, beta
        return None
    mean = _negative_times(rest, inv)
    return None if mean is None else (mean, None)


def _times(value: SSAValue, inv: SSAValue) -> SSAValue | None:
    """mean of mean * inv."""
    if isinstance(value.owner, MulOp):
        for mean, factor in _both(value.owner):
            if peel(factor) is inv:
                return peel(mean)
    return None


def _negative_times(value: SSAValue, inv: SSAValue) -> SSAValue | None:
    """mean of -mean * inv."""
    mean = _times(value, inv)
    return peel(mean.owner.x) if mean is not None and isinstance(mean.owner, NegOp) else None


def _reduced(found: Affine) -> tuple[int, ...] | None:
    """The axes over which mean and variance are those of x itself; None if they are not."""
    mean, variance = found.mean.owner, found.variance.owner
    if not isinstance(mean, MeanOp) or not isinstance(variance, MeanOp) or mean.x is not found.x:
        return None
    square = variance.x.owner
    difference = square.x.owner if isinstance(square, SquareOp) else None
    if not isinstance(difference, SubOp) or difference.lhs is not found.x:
        return None
    same = ints(mean.axes) == ints(variance.axes) and peel(difference.rhs) is mean.results[0]
    return ints(mean.axes) if same else None


def _batch_norm(emit: Emitter, found: Affine) -> SSAValue | None:
    """Normalisation of each channel, by statistics of the batch or by given ones."""
    x, size = found.x, shape_of(found.mean)
    along = [axis for axis in found.axes if shape_of(x)[axis] != 1]
    vectors = [v for v in (found.gamma, found.beta, found.mean, found.variance) if v is not None]
    if len(along) != 1 or any(shape_of(v) != size for v in vectors):
        return None
    (axis,) = along
    if size != (shape_of(x)[axis],) or not _runs_along(found.beta_axes, along, x):
        return None
    reduced = _reduced(found)
    if reduced is None:
        gamma, beta = _parameters(emit, found, size)
        operands = (x, gamma, beta, found.mean, found.variance)
        return emit(BatchNormInferenceOp, *operands, axis=axis, eps=found.eps)
    others = [i for i in range(len(shape_of(x))) if i != axis]
    return _own_statistics(found, axis) if list(reduced) == others else None


def _parameters(emit: Emitter, found: Affine, size: Sequence[int]) -> tuple[SSAValue, SSAValue]:
    """gamma and beta, constants where the normalisation has none."""
    type = tensor(size, dtype_of(found.x).name)
    gamma = splat(emit, 1.0, type) if found.gamma is None else found.gamma
    return gamma, splat(emit, 0.0, type) if found.beta is None else found.beta


def _own_statistics(found: Affine, axis: int) -> SSAValue | None:
    """Normalisation in the place of its statistics, so that both are computed once."""
    given = (found.gamma, found.beta)
    early = all(v is None or isinstance(v, BlockArgument) for v in given)
    mean, variance = found.mean.owner, found.variance.owner
    if not early or not isinstance(mean, MeanOp) or not isinstance(variance, MeanOp):
        return None
    emit = Emitter.before(mean)
    gamma, beta = _parameters(emit, found, shape_of(found.mean))
    op = emit.op(BatchNormOp, found.x, gamma, beta, axis=axis, eps=found.eps)
    for old, new in zip((mean, variance), op.results[1:], strict=True):
        old.results[0].replace_all_uses_with(new)
    return op.results[0]


def _layer_norm(emit: Emitter, found: Affine) -> SSAValue | None:
    """Normalisation of each row over trailing dims by its own statistics."""
    x, reduced = found.x, _reduced(found)
    rank = len(shape_of(x))
    if not reduced or reduced != tuple(range(rank - len(reduced), rank)):
        return None
    if not all(_runs_along(axes, reduced, x) for axes in (found.gamma_axes, found.beta_axes)):
        return None
    inner = shape_of(x)[reduced[0] :]
    gamma, beta = (reshape(emit, v, inner) for v in _parameters(emit, found, inner))
    return emit.op(LayerNormOp, x, gamma, beta, axis=reduced[0], eps=found.eps).results[0]
