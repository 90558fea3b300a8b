"""Gradients of normalisations. A channel vector [C] is repeated over the other axes of x."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.layer_norm import LayerNormGradInputOp, LayerNormGradParamsOp, LayerNormOp
from pock_ir.dialects.norm import BatchNormGradSumsOp, BatchNormInferenceOp, BatchNormOp, MomentsOp
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
from pock_ir.types import dtype_of, num_elements, shape_of

WIDE = "f64"
"""What is computed per channel from sums over all others, and applied to each element, is f64."""

refuse_second_order(BatchNormGradSumsOp, LayerNormGradInputOp, LayerNormGradParamsOp)


def _inverse_deviation(variance: SSAValue, eps: float, emit: GradientEmitter) -> Term:
    """rstd = 1 / sqrt(variance + eps) per channel, in f64."""
    return rsqrt(Term(emit, variance).to(WIDE) + eps)


def _sums(
    dy: SSAValue, x: SSAValue, mean: SSAValue, axis: int, emit: GradientEmitter
) -> tuple[Term, Term]:
    """Per channel, the sums of dy and of dy (x - mean), in f64."""
    total, projected = emit.op(BatchNormGradSumsOp, dy, x, mean, axis=axis).results
    return Term(emit, total), Term(emit, projected)


def _shift_gradient(dy: SSAValue, axis: int, emit: GradientEmitter) -> SSAValue:
    """Per channel, the sum of dy, added in f64 as by `_sums`.

    It reads no x, so that training a shift alone keeps none.
    """
    others = [i for i in range(len(shape_of(dy))) if i != axis]
    total = emit(SumOp, Term(emit, dy).to(WIDE).value, axes=others)
    return Term(emit, total).to(dtype_of(dy).name).value


def _normalized_gradient(
    dy: SSAValue, x: SSAValue, scales: tuple[Term, Term, Term], sums: tuple[Term, Term], axis: int
) -> Term:
    """gamma rstd (dy - sum dy / n - (x - mean) rstd^2 sum dy (x - mean) / n) = a dy - (b x + c).

    In f64, rounded once: see `BatchNormGradSumsOp`. The factors a, b and c are one per channel.
    """
    gamma, mean, rstd = scales
    total, projected = sums
    a = gamma * rstd
    share = a * (shape_of(x)[axis] / num_elements(x))
    b = share * square(rstd) * projected
    c = share * total - b * mean
    a, b, c = (each.spread(x, axis) for each in (a, b, c))
    wide_dy, wide_x = (Term(mean.emit, each).to(WIDE) for each in (dy, x))
    return (wide_dy * a - (wide_x * b + c)).to(dtype_of(x).name)


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
    dx = dbeta = None
    if needed[0]:
        rstd = rsqrt(Term(emit, op.variance) + number(op.eps))
        dx = Term(emit, dy) * (Term(emit, op.gamma) * rstd).spread(op.x, axis)
    if needed[2]:
        dbeta = Term(emit, _shift_gradient(dy, axis, emit))
    others = _statistics_gradients(op, dy, (needed[1], *needed[3:]), emit)
    return values(dx, others[0], dbeta, *others[1:])


def _statistics_gradients(
    op: BatchNormInferenceOp, dy: SSAValue, needed: Sequence[bool], emit: GradientEmitter
) -> Sequence[Term | None]:
    """The gradients to gamma, mean and variance, as far as needed."""
    if not any(needed):
        return [None] * 3
    rstd = _inverse_deviation(op.variance, number(op.eps), emit)
    total, projected = _sums(dy, op.x, op.mean, integer(op.axis), emit)
    gamma, dtype = Term(emit, op.gamma).to(WIDE), dtype_of(op.x).name
    return [
        (projected * rstd).to(dtype) if needed[0] else None,
        (-(gamma * rstd * total)).to(dtype) if needed[1] else None,
        (gamma * rstd * square(rstd) * projected * -0.5).to(dtype) if needed[2] else None,
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
    rstd, dtype = _inverse_deviation(variance, number(op.eps), emit), dtype_of(x).name
    sums = total, projected = _sums(dy, x, mean, axis, emit)
    if needed[0]:
        scales = (Term(emit, gamma).to(WIDE), Term(emit, mean).to(WIDE), rstd)
        through = _normalized_gradient(dy, x, scales, sums, axis)
        dx = through if dx is None else through + dx
    dgamma = (projected * rstd).to(dtype) if needed[1] else None
    return values(dx, dgamma, total.to(dtype) if needed[2] else None)


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
