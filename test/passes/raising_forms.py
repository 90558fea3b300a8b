"""Forms in which frameworks and people write softmax, norms and attention."""

from math import inf, sqrt

import numpy as np
from raising_graphs import T

from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import (
    CastOp,
    ExpOp,
    LogicalAndOp,
    LogicalNotOp,
    LogOp,
    ReciprocalOp,
    RsqrtOp,
    SigmoidOp,
    SqrtOp,
    SquareOp,
    StopGradientOp,
)
from pock_ir.dialects.norm import MomentsOp
from pock_ir.types import dtype_of

X = [(3, 4, 5)]
"""The argument of forms of one tensor."""


def exp(x: T) -> T:
    return x.unary(ExpOp)


def log(x: T) -> T:
    return x.unary(LogOp)


def rsqrt(x: T) -> T:
    return x.unary(RsqrtOp)


def square(x: T) -> T:
    return x.unary(SquareOp)


def sigmoid(x: T) -> T:
    return x.unary(SigmoidOp)


def softmax(x: T, axis: int = -1) -> T:
    powers = exp(x - x.max(axis))
    return powers / powers.sum(axis)


def jax_softmax(x: T) -> T:
    powers = exp(x - x.max(-1).maximum(-inf))
    return powers / powers.sum(-1)


def stopped(x: T) -> T:
    return x.unary(StopGradientOp)


def stopped_softmax(x: T) -> T:
    powers = exp(x - stopped(x.max(-1)))
    return powers / powers.sum(-1)


def softmax_by_reciprocal(x: T) -> T:
    powers = exp(x)
    return powers * powers.sum(1).unary(ReciprocalOp)


def softmax_channels_last(x: T) -> T:
    turned = x.transpose(0, 2, 1)
    powers = exp(turned - turned.max(2))
    return (powers / powers.sum(2)).transpose(0, 2, 1)


def log_sum_exp(x: T, guarded: bool = False) -> T:
    highest = x.max(-1)
    if guarded:
        finite = highest.compare("lt", inf)
        highest = finite.where(highest, 0.0)
    return highest + log(exp(x - highest).sum(-1))


def log_softmax(x: T) -> T:
    shifted = x - x.max(-1)
    return shifted - log(exp(shifted).sum(-1))


def variance(x: T, *axes: int) -> T:
    return square(x - x.mean(*axes)).mean(*axes)


def normalized(x: T, *axes: int, eps: float = 1e-5) -> T:
    return (x - x.mean(*axes)) * rsqrt(variance(x, *axes) + eps)


def sum_over_count(x: T, *axes: int) -> T:
    return x.sum(*axes) / float(np.prod([x.shape[axis] for axis in axes]))


def jax_layer_norm(x: T, g: T, b: T) -> T:
    mean = sum_over_count(x, -1)
    deviation = x - mean
    return deviation * (rsqrt(sum_over_count(square(x - mean), -1) + 1e-5) * g) + b


def keras_norm(x: T, g: T, b: T, *axes: int) -> T:
    factor = rsqrt(variance(x, *axes) + 1e-3) * g
    return x * factor + (b - x.mean(*axes) * factor)


def keras_jax_norm(x: T, g: T, b: T, *axes: int) -> T:
    factor = rsqrt(variance(x, *axes) + 1e-3) * g
    return x * factor + (-x.mean(*axes) * factor + b)


def batch_norm(x: T, g: T, b: T) -> list[T]:
    """NCHW, with running statistics."""
    mean, var = x.mean(0, 2, 3), variance(x, 0, 2, 3)
    g, b = (v.reshape((1, v.shape[0], 1, 1)) for v in (g, b))
    y = (x - mean) * rsqrt(var + 1e-5) * g + b
    return [y, mean * 0.1, var * 0.1]


def keras_batch_norm(x: T, g: T, b: T) -> list[T]:
    """NHWC."""
    mean, var = x.mean(0, 1, 2), variance(x, 0, 1, 2)
    return [keras_jax_norm(x, g, b, 0, 1, 2), mean.reshape((5,)) * 0.01, var.reshape((5,)) * 0.01]


def given_norm(x: T, g: T, b: T, mean: T, var: T) -> T:
    return (x - mean) / (square(var) + 1.0 + 1e-3).unary(SqrtOp) * g + b


def inference(x: T, g: T, b: T, mean: T, var: T) -> T:
    factor = rsqrt(var + 1e-3) * g
    return x * factor + (b - mean * factor)


def moments_norm(x: T, g: T, b: T) -> list[T]:
    mean, var = (T(x.emit, v) for v in x.emit.op(MomentsOp, x.value, axis=2).results)
    factor = rsqrt(var + 1e-3) * g
    return [x * factor + (b - mean * factor), mean * 0.1, var * 0.1]


def rms(x: T, eps: float = 1e-6) -> T:
    return x * rsqrt((x**2.0).mean(-1) + eps)


def fast(x: T, *axes: int) -> T:
    return square(x).mean(*axes) - square(x.mean(*axes))


def flax_layer_norm(x: T, g: T, b: T) -> T:
    scale = rsqrt(fast(x, -1).maximum(0.0) + 1e-6) * g
    return (x - x.mean(-1)) * scale + b


LOWEST = float(np.finfo(np.float32).min)


def turned(x: T) -> T:
    """Of the last two dims."""
    rank = len(x.shape)
    return x.transpose(*range(rank - 2), rank - 1, rank - 2)


def attend(q: T, k: T, v: T) -> T:
    return softmax(q @ turned(k) * 0.25) @ v


def causal(q: T, k: T, v: T, hide: float = -inf, predicate: str = "ge", offset: int = 0) -> T:
    scores = q @ turned(k) / 2.0
    sizes = scores.shape[-2:]
    rows, columns = q.iota(sizes, 0), q.iota(sizes, 1)
    sees = rows.compare(predicate, columns + offset if offset else columns)
    return softmax(sees.spread(scores.shape).where(scores, hide)) @ v


def masked_fill(q: T, k: T, v: T) -> T:
    scores = q @ turned(k) / 2.0
    sizes = scores.shape[-2:]
    hidden = q.iota(sizes, 1).compare("gt", q.iota(sizes, 0))
    return softmax(hidden.spread(scores.shape).where(LOWEST, scores)) @ v


def causal_not(q: T, k: T, v: T) -> T:
    scores = q @ turned(k)
    sizes = scores.shape[-2:]
    hidden = q.iota(sizes, 0).compare("ge", q.iota(sizes, 1)).unary(LogicalNotOp)
    return softmax(hidden.spread(scores.shape).where(-inf, scores)) @ v


def causal_added(q: T, k: T, v: T) -> T:
    scores = q @ turned(k)
    sizes = scores.shape[-2:]
    sees = q.iota(sizes, 0).compare("ge", q.iota(sizes, 1))
    return softmax(scores + sees.where(q.lift(0.0), -inf)) @ v


def padded(q: T, k: T, v: T, mask: T) -> T:
    """The extended mask of BERT: [B, S] of 0 and 1."""
    floats = mask.unary(CastOp, to=dtype_of(q.value).name)
    added = (1.0 - floats.reshape((2, 1, 1, 6))) * -1e4
    return softmax(q @ turned(k) / sqrt(5.0) + added) @ v


def flax_attention(q: T, k: T, v: T) -> T:
    """[B, T, H, D]: einsum makes [B, H, T, S], and [B, H, D, T] from values and weights."""
    q, k, v = (x.transpose(0, 2, 1, 3) for x in (q * 0.5, k, v))
    weights = softmax(turned(k @ turned(q)))
    return turned(turned(v) @ turned(weights)).transpose(0, 2, 1, 3)


def flattened(q: T, k: T, v: T, mask: T, seed: T, step: T) -> T:
    """Batch and heads as one dim in both products, as two dims where the mask is added."""
    q, k, v = (x.reshape((6, *x.shape[2:])) for x in (q * 0.5, k, v))
    scores = (q @ turned(k)).reshape((2, 3, 4, 6))
    hidden = 1.0 - mask.unary(CastOp, to=dtype_of(q.value).name).reshape((2, 1, 1, 6))
    weights = softmax(scores + hidden * -1e4).reshape((6, 4, 6))
    kept = q.emit(DropoutOp, weights.value, seed.value, step.value, p=0.25, stream=3)
    return T(q.emit, kept) @ v


def late_mask(q: T, k: T, v: T, mask: T) -> T:
    """The mask is added before batch and heads are one dim again."""
    hidden = mask.unary(CastOp, to=dtype_of(q.value).name) * -1e4
    weights = softmax((q @ turned(k) + hidden).reshape((6, 4, 6)))
    return weights @ v.reshape((6, 6, 7))


def dropped(q: T, k: T, v: T, seed: T, step: T) -> T:
    weights = softmax(q @ turned(k))
    kept = q.emit(DropoutOp, weights.value, seed.value, step.value, p=0.25, stream=3)
    return T(q.emit, kept) @ v


def cut(q: T, k: T, v: T, mask: T, hide: float = -inf) -> T:
    scores = q @ turned(k)
    return softmax(mask.spread(scores.shape).where(scores, hide)) @ v


def early(x: T) -> T:
    """[T, S] like the last dims of scores: true where key <= query."""
    return x.iota(x.shape[-2:], 1).compare("le", x.iota(x.shape[-2:], 0))


def both(a: T, b: T, shape: tuple[int, ...]) -> T:
    return a.spread(shape).binary(LogicalAndOp, b.spread(shape))


def zeroed(q: T, k: T, v: T, mask: T, other: T | None = None) -> T:
    """Keras: hidden probabilities are set to 0 once more. other: by this, if it is given."""
    scores = q @ turned(k)
    sees = both(mask.reshape((2, 1, 1, 6)), early(scores), scores.shape)
    last = sees if other is None else other.reshape((2, 1, 1, 6)).spread(scores.shape)
    return last.where(softmax(sees.where(scores, -1e9)), 0.0) @ v


def twice(
    q: T, k: T, v: T, mask: T, inner: float = LOWEST, outer: float = LOWEST, added: float = 0.0
) -> T:
    """A causal condition, another around it, and perhaps a number that is added to the scores."""
    scores = q @ turned(k)
    if added:
        number = mask.reshape((2, 1, 1, 6)).unary(CastOp, to=dtype_of(q.value).name) * added
        scores = scores + number
    scores = early(scores).spread(scores.shape).where(scores, inner)
    hidden = mask.unary(LogicalNotOp).reshape((2, 1, 1, 6)).spread(scores.shape)
    return softmax(hidden.where(outer, scores)) @ v


def added(q: T, k: T, v: T, mask: T, hide: float = -inf) -> T:
    scores = q @ turned(k)
    zeros = q.lift(0.0).spread(mask.shape)
    return softmax(scores + mask.where(zeros, hide)) @ v
