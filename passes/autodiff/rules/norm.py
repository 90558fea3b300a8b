"""Gradients of normalisations. A channel vector [C] is repeated over the other axes of x."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.norm import (
    BatchNormGradSumsOp,
    BatchNormInferenceOp,
    BatchNormOp,
    LayerNormGradInputOp,
    LayerNormGradParamsOp,
    LayerNormOp,
    MomentsOp,
)
from pock_ir.dialects.reduce import SumOp
from pock_ir.op import integer, number
from pock_ir.passes.autodiff.algebra import Term, rsqrt, square
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
    values,
)
from pock_ir.types import num_elements, shape_of

refuse_second_order(BatchNormGradSumsOp, LayerNormGradInputOp, LayerNormGradParamsOp)


def _sums(dy: SSAValue, x: SSAValue, mean: SSAValue, rstd: Term, axis: int) -> tuple[Term, Term]:
    """Per channel, the sums of dy and of dy (x - mean) rstd."""
    op = rstd.emit.op(BatchNormGradSumsOp, dy, x, mean, rstd.value, axis=axis)
    total, projected = op.results
    return Term(rstd.emit, total), Term(rstd.emit, projected)


def _shift_gradient(dy: SSAValue, axis: int, emit: GradientEmitter) -> SSAValue:
    """Per channel, the sum of dy. It reads no x, so that training a shift alone keeps none."""
    others = [i for i in range(len(shape_of(dy))) if i != axis]
    return emit(SumOp, dy, axes=others)


def _normalized_gradient(
    dy: SSAValue, x: SSAValue, scales: tuple[Term, Term, Term], sums: tuple[Term, Term], axis: int
) -> Term:
    """gamma rstd (dy - mean of dy - xhat mean of dy xhat), with xhat = (x - mean) rstd.

    The factors of one channel are multiplied before they are spread over x.
    """
    gamma, mean, rstd = scales
    total, projected = sums
    n = num_elements(x) / shape_of(x)[axis]
    slope = (rstd * projected / n).spread(x, axis)
    centered = Term(mean.emit, x) - mean.spread(x, axis)
    inner = Term(mean.emit, dy) - (total / n).spread(x, axis) - centered * slope
    return inner * (gamma * rstd).spread(x, axis)


def _moments_gradient(
    x: SSAValue, mean: SSAValue, cotangents: Gradients, axis: int, emit: GradientEmitter
) -> Term | None:
    """dmean / n + 2 (x - mean) dvariance / n, or None if both cotangents are zero."""
    dmean, dvariance = cotangents
    n = num_elements(x) / shape_of(x)[axis]
    shift = None if dmean is None else (Term(emit, dmean) / n).spread(x, axis)
    if dvariance is None:
        return shift
    centered = Term(emit, x) - Term(emit, mean).spread(x, axis)
    slope = centered * (Term(emit, dvariance) * (2.0 / n)).spread(x, axis)
    return slope if shift is None else shift + slope


@VJP.register(BatchNormInferenceOp)
def batch_norm_inference(
    op: BatchNormInferenceOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The mean and variance are operands; sums are over all axes but that of the channels.

    forward:  y = gamma xhat + beta, xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + eps)
    backward: dx = dy gamma rstd;  dgamma = sum dy xhat;  dbeta = sum dy;
              dmean = -gamma rstd sum dy;  dvariance = -gamma rstd^2 sum dy xhat / 2
    """
    dy, axis = only_first(op, cotangents), integer(op.axis)
    gamma, rstd = Term(emit, op.gamma), rsqrt(Term(emit, op.variance) + number(op.eps))
    dx = dbeta = None
    if needed[0]:
        dx = Term(emit, dy) * (gamma * rstd).spread(op.x, axis)
    if needed[2]:
        dbeta = Term(emit, _shift_gradient(dy, axis, emit))
    others = _statistics_gradients(op, dy, rstd, (needed[1], *needed[3:]))
    return values(dx, others[0], dbeta, *others[1:])


def _statistics_gradients(
    op: BatchNormInferenceOp, dy: SSAValue, rstd: Term, needed: Sequence[bool]
) -> Sequence[Term | None]:
    """The gradients to gamma, mean and variance, as far as needed."""
    if not any(needed):
        return [None] * 3
    total, projected = _sums(dy, op.x, op.mean, rstd, integer(op.axis))
    gamma = Term(rstd.emit, op.gamma)
    return [
        projected if needed[0] else None,
        -(gamma * rstd * total) if needed[1] else None,
        gamma * square(rstd) * projected * -0.5 if needed[2] else None,
    ]


@VJP.register(BatchNormOp)
def batch_norm(
    op: BatchNormOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The mean and variance are those of the n elements of x in each channel.

    forward:  y = gamma xhat + beta, xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + eps)
    backward: dx = gamma rstd (dy - sum dy / n - xhat sum dy xhat / n);
              dgamma = sum dy xhat;  dbeta = sum dy
    Source: Ioffe and Szegedy, arXiv 1502.03167, section 3, with the sums shared.
    """
    dy, *moments = cotangents
    x, gamma, _ = op.operands
    _, mean, variance = op.results
    axis = integer(op.axis)
    dx = _moments_gradient(x, mean, moments, axis, emit) if needed[0] else None
    if dy is None:
        return values(dx, None, None)
    if not needed[0] and not needed[1]:
        return [None, None, _shift_gradient(dy, axis, emit)]
    rstd = rsqrt(Term(emit, variance) + number(op.eps))
    sums = total, projected = _sums(dy, x, mean, rstd, axis)
    if needed[0]:
        scales = (Term(emit, gamma), Term(emit, mean), rstd)
        through = _normalized_gradient(dy, x, scales, sums, axis)
        dx = through if dx is None else through + dx
    return values(dx, projected if needed[1] else None, total if needed[2] else None)


@VJP.register(LayerNormOp)
def layer_norm(
    op: LayerNormOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The mean and variance are those of the n elements of the dims axis..end.

    forward:  y = gamma xhat + beta, xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + eps)
    backward: g = gamma dy;  dx = rstd (g - sum g / n - xhat sum g xhat / n);
              dgamma = sum dy xhat;  dbeta = sum dy, over the dims before axis
    """
    dy = only_first(op, cotangents)
    x, gamma, _ = op.operands
    saved = (dy, x, *op.results[1:])
    dx = dgamma = dbeta = None
    if needed[0]:
        dx = emit(LayerNormGradInputOp, *saved, gamma, axis=op.axis)
    if needed[1]:
        dgamma, dbeta = emit.op(LayerNormGradParamsOp, *saved, axis=op.axis).results
    elif needed[2]:
        dbeta = emit(SumOp, dy, axes=list(range(integer(op.axis))))
    return [dx, dgamma, dbeta if needed[2] else None]


@VJP.register(MomentsOp)
def moments(
    op: MomentsOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Mean and variance of the n elements of each channel.

    forward:  mean = sum x / n;  variance = sum (x - mean)^2 / n
    backward: dx = dmean / n + 2 (x - mean) dvariance / n
    """
    return values(_moments_gradient(op.x, op.results[0], cotangents, integer(op.axis), emit))
