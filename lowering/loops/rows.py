"""Ops that are made of reductions: what they reduce, and how they are composed.

Two tables with one line per op. `DOMAINS` gives the shape that an op runs over and the dims that it
reduces; `RULES` composes its results of expressions and reductions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from xdsl.ir import Operation, SSAValue

from pock_ir.dialects.layer_norm import LayerNormGradInputOp, LayerNormGradParamsOp, LayerNormOp
from pock_ir.dialects.norm import BatchNormGradSumsOp, BatchNormOp, MomentsOp
from pock_ir.dialects.reduce import ArgMaxOp, ArgMinOp, MaxOp, MeanOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.rms_norm import RmsNormGradInputOp, RmsNormGradWeightOp, RmsNormOp
from pock_ir.dialects.softmax import LogSoftmaxGradOp, LogSoftmaxOp, SoftmaxGradOp, SoftmaxOp
from pock_ir.lowering.loops.body import BodyReader
from pock_ir.lowering.loops.program import Dims
from pock_ir.op import integer, ints, number, text
from pock_ir.scalar import Expr, cast, either, equal, exp, log, not_equal, select, sqrt
from pock_ir.types import DType, dtype_named, dtype_of, shape_of

Space: TypeAlias = tuple[tuple[int, ...], Dims]
Rule: TypeAlias = Callable[[BodyReader, Any], Sequence[Expr]]

WIDE = dtype_named("f64")
"""What statistics of a batch are summed in."""


def _over(value: SSAValue, dims: Sequence[int]) -> Space:
    return shape_of(value), frozenset(dims)


def _axes(op: Any) -> Space:
    return _over(op.x, ints(op.axes))


def _axis(op: Any) -> Space:
    return _over(op.results[0], (integer(op.axis),))


def _channel(op: Any) -> Space:
    rank = len(shape_of(op.x))
    return _over(op.x, [dim for dim in range(rank) if dim != integer(op.axis)])


def _trailing(op: Any) -> Space:
    return _over(op.x, range(integer(op.axis), len(shape_of(op.x))))


def _leading(op: Any) -> Space:
    return _over(op.x, range(integer(op.axis)))


def _sum(reader: BodyReader, op: SumOp) -> Sequence[Expr]:
    return [reader.reduce("sum", reader.full(op.x), dtype_of(op.x))]


def _mean(reader: BodyReader, op: MeanOp) -> Sequence[Expr]:
    return [_average(reader, reader.full(op.x), dtype_of(op.x))]


def _max(reader: BodyReader, op: MaxOp) -> Sequence[Expr]:
    return [reader.reduce("max", reader.full(op.x), dtype_of(op.x))]


def _min(reader: BodyReader, op: MinOp) -> Sequence[Expr]:
    dtype = dtype_of(op.x)
    return [_mirrored(reader.reduce("max", _mirrored(reader.full(op.x), dtype), dtype), dtype)]


def _mirrored(x: Expr, dtype: DType) -> Expr:
    """x in the opposite order: the least integer has no opposite, but all have -1 - x."""
    return -x if dtype.is_float else -1 - x


def _prod(reader: BodyReader, op: ProdOp) -> Sequence[Expr]:
    return [reader.reduce("prod", reader.full(op.x), dtype_of(op.x))]


def _argmax(reader: BodyReader, op: ArgMaxOp) -> Sequence[Expr]:
    return [_first_largest(reader, op, reader.full(op.x))]


def _argmin(reader: BodyReader, op: ArgMinOp) -> Sequence[Expr]:
    return [_first_largest(reader, op, _mirrored(reader.full(op.x), dtype_of(op.x)))]


def _first_largest(reader: BodyReader, op: ArgMaxOp | ArgMinOp, x: Expr) -> Expr:
    """The smallest position where x is the maximum or NaN; if there is a NaN, nothing is equal."""
    largest = reader.reduce("max", x, dtype_of(op.x))
    chosen = equal(x, largest)
    if dtype_of(op.x).is_float:
        chosen = either(chosen, not_equal(x, x))
    distance = -1 - reader.position(integer(op.axis))
    nearest = reader.reduce("max", select(chosen, distance, -(2**31)), dtype_named("i32"))
    return cast(-1 - nearest, text(op.index))


def _average(reader: BodyReader, value: Expr, dtype: DType) -> Expr:
    return reader.reduce("sum", value, dtype) / float(reader.domain.count)


def _softmax(reader: BodyReader, op: SoftmaxOp) -> Sequence[Expr]:
    x, dtype = reader.full(op.x), dtype_of(op.x)
    power = exp(x - reader.reduce("max", x, dtype))
    return [power * (1.0 / reader.reduce("sum", power, dtype))]


def _log_softmax(reader: BodyReader, op: LogSoftmaxOp) -> Sequence[Expr]:
    x, dtype = reader.full(op.x), dtype_of(op.x)
    shifted = x - reader.reduce("max", x, dtype)
    return [shifted - log(reader.reduce("sum", exp(shifted), dtype))]


def _softmax_grad(reader: BodyReader, op: SoftmaxGradOp) -> Sequence[Expr]:
    y, dy = reader.full(op.y), reader.full(op.dy)
    return [y * (dy - reader.reduce("sum", dy * y, dtype_of(op.y)))]


def _log_softmax_grad(reader: BodyReader, op: LogSoftmaxGradOp) -> Sequence[Expr]:
    y, dy = reader.full(op.y), reader.full(op.dy)
    return [dy - exp(y) * reader.reduce("sum", dy, dtype_of(op.y))]


def _moments(reader: BodyReader, x: Expr, dtype: DType) -> tuple[Expr, Expr]:
    mean = _average(reader, x, dtype)
    difference = x - mean
    return mean, _average(reader, difference * difference, dtype)


def _wide(value: Expr) -> Expr:
    return cast(value, WIDE.name)


def _wide_moments(reader: BodyReader, x: SSAValue) -> tuple[Expr, Expr]:
    """Mean and variance, summed in f64 and rounded to the type of x."""
    mean, variance = _moments(reader, _wide(reader.full(x)), WIDE)
    name = dtype_of(x).name
    return cast(mean, name), cast(variance, name)


def _moments_op(reader: BodyReader, op: MomentsOp) -> Sequence[Expr]:
    return _wide_moments(reader, op.x)


def _batch_norm(reader: BodyReader, op: BatchNormOp) -> Sequence[Expr]:
    x = reader.full(op.x)
    mean, variance = _wide_moments(reader, op.x)
    scale = reader.kept(op.gamma) / sqrt(variance + number(op.eps))
    return [(x - mean) * scale + reader.kept(op.beta), mean, variance]


def _batch_norm_grad_sums(reader: BodyReader, op: BatchNormGradSumsOp) -> Sequence[Expr]:
    dy = _wide(reader.full(op.dy))
    centered = _wide(reader.full(op.x)) - _wide(reader.kept(op.mean))
    return [reader.reduce("sum", dy, WIDE), reader.reduce("sum", dy * centered, WIDE)]


def _layer_norm(reader: BodyReader, op: LayerNormOp) -> Sequence[Expr]:
    x = reader.full(op.x)
    mean, variance = _moments(reader, x, dtype_of(op.x))
    rstd = 1.0 / sqrt(variance + number(op.eps))
    y = (x - mean) * rstd * reader.inner(op.gamma) + reader.inner(op.beta)
    return [y, mean, rstd]


def _layer_norm_grad_input(reader: BodyReader, op: LayerNormGradInputOp) -> Sequence[Expr]:
    dtype = dtype_of(op.x)
    rstd = reader.kept(op.rstd)
    xhat = (reader.full(op.x) - reader.kept(op.mean)) * rstd
    g = reader.full(op.dy) * reader.inner(op.gamma)
    along = _average(reader, g * xhat, dtype)
    return [rstd * (g - _average(reader, g, dtype) - xhat * along)]


def _layer_norm_grad_params(reader: BodyReader, op: LayerNormGradParamsOp) -> Sequence[Expr]:
    """Here the leading dims are reduced, so the statistics run along the reduced dims."""
    dy, dtype = reader.full(op.dy), dtype_of(op.x)
    xhat = (reader.full(op.x) - reader.inner(op.mean)) * reader.inner(op.rstd)
    return [reader.reduce("sum", dy * xhat, dtype), reader.reduce("sum", dy, dtype)]


def _rms_norm(reader: BodyReader, op: RmsNormOp) -> Sequence[Expr]:
    x = reader.full(op.x)
    rstd = 1.0 / sqrt(_average(reader, x * x, dtype_of(op.x)) + number(op.eps))
    return [x * rstd * reader.inner(op.gamma), rstd]


def _rms_norm_grad_input(reader: BodyReader, op: RmsNormGradInputOp) -> Sequence[Expr]:
    rstd = reader.kept(op.rstd)
    xhat = reader.full(op.x) * rstd
    g = reader.full(op.dy) * reader.inner(op.gamma)
    return [rstd * (g - xhat * _average(reader, g * xhat, dtype_of(op.x)))]


def _rms_norm_grad_weight(reader: BodyReader, op: RmsNormGradWeightOp) -> Sequence[Expr]:
    """Here the leading dims are reduced, so the statistic runs along the reduced dims."""
    product = reader.full(op.dy) * (reader.full(op.x) * reader.inner(op.rstd))
    return [reader.reduce("sum", product, dtype_of(op.x))]


def _argument(op: Any) -> Space:
    return _over(op.x, (integer(op.axis),))


DOMAINS: Mapping[type[Operation], Callable[[Any], Space]] = {
    ArgMaxOp: _argument,
    ArgMinOp: _argument,
    BatchNormGradSumsOp: _channel,
    BatchNormOp: _channel,
    LayerNormGradInputOp: _trailing,
    LayerNormGradParamsOp: _leading,
    LayerNormOp: _trailing,
    LogSoftmaxGradOp: _axis,
    LogSoftmaxOp: _axis,
    MaxOp: _axes,
    MeanOp: _axes,
    MinOp: _axes,
    MomentsOp: _channel,
    ProdOp: _axes,
    RmsNormGradInputOp: _trailing,
    RmsNormGradWeightOp: _leading,
    RmsNormOp: _trailing,
    SoftmaxGradOp: _axis,
    SoftmaxOp: _axis,
    SumOp: _axes,
}

RULES: Mapping[type[Operation], Rule] = {
    ArgMaxOp: _argmax,
    ArgMinOp: _argmin,
    BatchNormGradSumsOp: _batch_norm_grad_sums,
    BatchNormOp: _batch_norm,
    LayerNormGradInputOp: _layer_norm_grad_input,
    LayerNormGradParamsOp: _layer_norm_grad_params,
    LayerNormOp: _layer_norm,
    LogSoftmaxGradOp: _log_softmax_grad,
    LogSoftmaxOp: _log_softmax,
    MaxOp: _max,
    MeanOp: _mean,
    MinOp: _min,
    MomentsOp: _moments_op,
    ProdOp: _prod,
    RmsNormGradInputOp: _rms_norm_grad_input,
    RmsNormGradWeightOp: _rms_norm_grad_weight,
    RmsNormOp: _rms_norm,
    SoftmaxGradOp: _softmax_grad,
    SoftmaxOp: _softmax,
    SumOp: _sum,
}
