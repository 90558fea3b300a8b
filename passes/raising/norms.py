"""Layer norm, RMS norm, and batch norm with its own statistics or with given ones.

All but RMS norm are (x - mean) / sqrt(variance + eps) * gamma + beta, in one of a few associations;
what they are is a question of where mean and variance come from. A variance is the mean of squared
differences from the mean. E[x^2] - E[x]^2 is the same number only in exact arithmetic: where the
mean is large beside the deviation most of its digits cancel, and the whole ops, which take two
passes, would not give what the graph says. Such a norm stays decomposed unless the pass is told
that the more accurate result is welcome (`fast-variance`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from xdsl.ir import Operation, SSAValue

from pock_ir.dialects.elementwise import (
    AddOp,
    ClampOp,
    DivOp,
    MaximumOp,
    MulOp,
    ReluOp,
    SubOp,
)
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp, MomentsOp
from pock_ir.dialects.reduce import ReduceOp
from pock_ir.dialects.rms_norm import RmsNormOp
from pock_ir.op import integer, ints, number
from pock_ir.passes.canonicalize import splat
from pock_ir.passes.raising.forms import (
    X,
    inverse_root_of,
    mean_of,
    normalized,
    scaled,
    shifted_by_eps,
    square_of,
)
from pock_ir.passes.raising.match import (
    Capture,
    Captures,
    Moment,
    Named,
    Number,
    OneOf,
    Op,
    Pattern,
    all_fit,
)
from pock_ir.passes.raising.products import Product
from pock_ir.passes.raising.table import Found, Raise, is_argument
from pock_ir.types import dtype_of, shape_of, tensor

MEAN, VARIANCE = Capture("mean"), Capture("variance")
GAMMA, BETA = Capture("gamma"), Capture("beta")

DEVIATION = Op(SubOp, X, MEAN)
INVERSE = inverse_root_of(shifted_by_eps(VARIANCE))
FACTOR = Named("factor", OneOf(INVERSE, Product(1.0, INVERSE, GAMMA)))
SCALED_X = Op(MulOp, X, FACTOR)


def shift(sign: float) -> Pattern:
    """mean * factor, or its negative."""
    return Product(sign, MEAN, FACTOR)


# x * factor + (beta - mean * factor), which spares an op for each element.
FOLDED = OneOf(
    Op(AddOp, SCALED_X, Op(AddOp, shift(-1.0), BETA)),
    Op(AddOp, SCALED_X, Op(SubOp, BETA, shift(1.0))),
    Op(AddOp, SCALED_X, shift(-1.0)),
    Op(SubOp, SCALED_X, shift(1.0)),
)

OWN_MEAN = OneOf(mean_of(X), Moment(0, X))
TWO_PASSES = OneOf(mean_of(square_of(DEVIATION)), Moment(1, X))
ONE_PASS = Op(SubOp, mean_of(square_of(X)), square_of(MEAN))
# Rounding may make it negative; frameworks that use it cut it off at 0.
FAST = OneOf(
    ONE_PASS,
    Op(MaximumOp, ONE_PASS, Number(0.0)),
    Op(ReluOp, ONE_PASS),
    Op(ClampOp, ONE_PASS, where=lambda op: number(op.min) == 0.0),
)
MEAN_SQUARE = mean_of(square_of(X))


def builder(variance: Pattern) -> Callable[[Found], SSAValue | None]:
    """Builds the norm that the statistics belong to; `variance` is what counts as one of x."""

    def build(found: Found) -> SSAValue | None:
        if not found.view("x").spans(found.frame):
            return None
        own = _own_statistics(found, variance)
        if own is not None:
            return _layer_norm(found, own) or _batch_norm(found, own)
        return _batch_norm_inference(found)

    return build


def _own_statistics(found: Found, variance: Pattern) -> Captures | None:
    """The axes and the reduction if mean and variance are those of x."""
    known = {name: found.captures[name] for name in ("x", "mean")}
    views = [found.view("mean"), found.view("variance")]
    return next(all_fit([OWN_MEAN, variance], views, found.frame, known), None)


def _layer_norm(found: Found, own: Captures) -> SSAValue | None:
    """Statistics over the last dims."""
    inner = _inner(found, own)
    if inner is None:
        return None
    gamma, beta = _affine(found, inner)
    properties = {"axis": inner.start, "eps": found.number("eps")}
    return found.make(LayerNormOp, found.lay("x"), gamma, beta, **properties)


def rms_norm(found: Found) -> SSAValue | None:
    """x / sqrt(mean of x^2 + eps) over the last dims."""
    inner = _inner(found, found.captures)
    if inner is None or not found.view("x").spans(found.frame):
        return None
    gamma = _parameter(found, "gamma", inner)
    properties = {"axis": inner.start, "eps": found.number("eps")}
    return found.make(RmsNormOp, found.lay("x"), gamma, **properties)


def _inner(found: Found, own: Captures) -> range | None:
    """The last axes if the reductions are over these, and gamma and beta vary along these only.

    A reduction over all dims but one that happen to have size 1 (batch norm of one picture) is
    none over the last dims.
    """
    axes: tuple[int, ...] = own["axes"]
    rank, dims = len(shape_of(own["reduction"].operands[0])), reduced_dims(own["reduction"])
    if not axes or dims != tuple(range(rank - len(dims), rank)):
        return None
    inner = range(axes[0], len(found.frame))
    is_last = all(axis in axes or found.frame[axis] == 1 for axis in inner)
    affine = [found.view(name) for name in ("gamma", "beta") if name in found.captures]
    fits = all(view.varies_along() <= set(axes) for view in affine)
    return inner if is_last and fits else None


def reduced_dims(op: ReduceOp | MomentsOp) -> tuple[int, ...]:
    """The dims of its operand that a reduction is over."""
    if isinstance(op, MomentsOp):
        return tuple(dim for dim in range(len(shape_of(op.x))) if dim != integer(op.axis))
    return ints(op.axes)


DEFAULTS = {"gamma": 1.0, "beta": 0.0}


def _parameter(found: Found, name: str, axes: Sequence[int]) -> SSAValue:
    """gamma or beta along `axes`; 1 or 0 where the graph has none."""
    if name in found.captures:
        return found.lay(name, axes)
    type = tensor([found.frame[axis] for axis in axes], dtype_of(found.root.results[0]).type)
    return splat(found.emit, DEFAULTS[name], type)


def _affine(found: Found, axes: Sequence[int]) -> tuple[SSAValue, SSAValue]:
    """Both."""
    return _parameter(found, "gamma", axes), _parameter(found, "beta", axes)


def _channel(found: Found, names: Sequence[str]) -> int | None:
    """The one axis that the captured vectors vary along."""
    views = [found.view(name) for name in names if name in found.captures]
    axes = frozenset[int]().union(*(view.varies_along() for view in views))
    return next(iter(axes)) if len(axes) == 1 else None


CHANNEL_VECTORS = ("mean", "variance", "gamma", "beta")


def _batch_norm(found: Found, own: Captures) -> SSAValue | None:
    """Statistics over all dims but one; the running statistics then read those of the new op."""
    axis = _channel(found, CHANNEL_VECTORS)
    if axis is None or frozenset((*own["axes"], axis)) != found.view("x").varies_along():
        return None
    mean, variance = found.view("mean"), found.view("variance")
    wanted = tensor([found.frame[axis]], dtype_of(found.root.results[0]).type)
    affine = [found.view(name) for name in ("gamma", "beta") if name in found.captures]
    first = cast(Operation, mean.owner)
    shares = mean.base.type == variance.base.type == wanted and all(map(is_argument, affine))
    if shares:
        found.move_before(first)
    gamma, beta = _affine(found, [axis])
    properties = {"axis": axis, "eps": found.number("eps")}
    op = found.emit.op(BatchNormOp, found.lay("x"), gamma, beta, **properties)
    if shares:
        found.same += zip((mean.base, variance.base), op.results[1:], strict=True)
    return op.results[0]


def _batch_norm_inference(found: Found) -> SSAValue | None:
    """Statistics that the function is given."""
    axis = _channel(found, CHANNEL_VECTORS)
    given = [found.view("mean"), found.view("variance")]
    if axis is None or not all(map(is_argument, given)):
        return None
    statistics = (found.lay(name, [axis]) for name in ("mean", "variance"))
    operands = [found.lay("x"), *_affine(found, [axis]), *statistics]
    return found.make(BatchNormInferenceOp, *operands, axis=axis, eps=found.number("eps"))


def rows(fast_variance: bool) -> tuple[Raise, ...]:
    """The table; with `fast_variance`, E[x^2] - E[x]^2 counts as a variance."""
    build = builder(OneOf(TWO_PASSES, FAST) if fast_variance else TWO_PASSES)
    return (
        Raise("normalize", (MulOp, DivOp), normalized(DEVIATION, VARIANCE), build),
        Raise("normalize-scaled", (MulOp, DivOp), scaled(DEVIATION, VARIANCE, GAMMA), build),
        Raise("normalize-folded", (AddOp, SubOp), FOLDED, build),
        Raise("rms-norm", (MulOp, DivOp), normalized(X, MEAN_SQUARE), rms_norm),
        Raise("rms-norm-scaled", (MulOp, DivOp), scaled(X, MEAN_SQUARE, GAMMA), rms_norm),
    )
