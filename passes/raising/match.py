"""A small pattern language over views of SSA values.

A pattern is asked for all the ways in which it fits a view; each way is a set of captures. What is
captured twice has to be the same value. Sums, products, maxima and minima fit in both orders; see
`products` for more than two factors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from math import inf, isinf
from typing import Any, cast

from xdsl.ir import Operation, OpResult

from pock_ir.dialects.elementwise import (
    AddOp,
    MaximumOp,
    MinimumOp,
    MulOp,
)
from pock_ir.dialects.norm import MomentsOp
from pock_ir.dialects.reduce import ReduceOp
from pock_ir.dialects.softmax import SoftmaxForward
from pock_ir.op import integer, ints
from pock_ir.passes.raising.views import Shape, View, follow
from pock_ir.types import dtype_of, shape_of

Kinds = Set[type[Operation]]
"""The classes of the ops of a block."""

Captures = Mapping[str, Any]
"""Name -> View, number, axes of the frame, or op."""

COMMUTATIVE = frozenset((AddOp, MaximumOp, MinimumOp, MulOp))

# The gap between 1 and the next number of each float type.
EPSILON = {"f16": 2.0**-10, "bf16": 2.0**-7, "f32": 2.0**-23, "f64": 2.0**-52}


def is_close(found: float, wanted: float, like: View) -> bool:
    """Whether two constants are one in the element type of `like`, up to its last place.

    Frameworks write constants with as many digits as they like, and round them to the type.
    """
    if found == wanted:
        return True
    if isinf(wanted) or isinf(found):
        return False
    return abs(found - wanted) <= EPSILON.get(dtype_of(like.base).name, 0.0) * abs(wanted)


class Pattern(ABC):
    """Something that fits some views."""

    @abstractmethod
    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        """The captures of each way to fit `view`, all of which extend `known`."""

    def may_fit(self, present: Kinds) -> bool:
        """Whether something in a block of ops of the classes `present` may fit."""
        return True


def bound(known: Captures, name: str, value: Any) -> Iterator[Captures]:
    """`known` with `value` under `name`, unless there is something else under it."""
    if name not in known:
        yield {**known, name: value}
    elif known[name] == value:
        yield known


@dataclass(frozen=True)
class Capture(Pattern):
    """Any value."""

    name: str

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        return bound(known, self.name, view)


@dataclass(frozen=True)
class Named(Pattern):
    """What fits `pattern`; if it has been found before, exactly that."""

    name: str
    pattern: Pattern

    def may_fit(self, present: Kinds) -> bool:
        return self.pattern.may_fit(present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        if self.name in known:
            yield from bound(known, self.name, view)
            return
        for found in self.pattern.fits(view, frame, known):
            yield from bound(found, self.name, view)


@dataclass(frozen=True)
class Number(Pattern):
    """A constant, see `is_close`."""

    value: float

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        if view.number is not None and is_close(view.number, self.value, view):
            yield known


@dataclass(frozen=True)
class AnyNumber(Pattern):
    """A constant within bounds, which is captured; no NaN."""

    name: str
    least: float = -inf
    most: float = inf

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        number = view.number
        if number is not None and self.least <= number <= self.most:
            yield from bound(known, self.name, number)


@dataclass(frozen=True)
class ResultOf(Pattern):
    """What an op of a class makes, whatever of."""

    op_type: type[Operation]
    name: str

    def may_fit(self, present: Kinds) -> bool:
        return self.op_type in present

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        if type(view.owner) is self.op_type:
            yield from bound(known, self.name, view)


class OneOf(Pattern):
    """What fits one of several patterns."""

    def __init__(self, *patterns: Pattern) -> None:
        self.patterns = patterns

    def may_fit(self, present: Kinds) -> bool:
        return any(pattern.may_fit(present) for pattern in self.patterns)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        for pattern in self.patterns:
            yield from pattern.fits(view, frame, known)


class Op(Pattern):
    """The result of an elementwise op on operands that fit; `where` may look at its properties."""

    def __init__(
        self,
        op_type: type[Operation],
        *operands: Pattern,
        where: Callable[[Any], bool] = lambda op: True,
    ) -> None:
        self.op_type = op_type
        self.operands = operands
        self.where = where

    def may_fit(self, present: Kinds) -> bool:
        return self.op_type in present and all_may_fit(self.operands, present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if type(op) is not self.op_type or not self.where(op):
            return
        views = [view.operand(index) for index in range(len(self.operands))]
        yield from all_fit(self.operands, views, frame, known)
        if self.op_type in COMMUTATIVE:
            yield from all_fit(self.operands, views[::-1], frame, known)


def all_may_fit(patterns: Sequence[Pattern], present: Kinds) -> bool:
    """Whether each pattern may fit something."""
    return all(pattern.may_fit(present) for pattern in patterns)


def all_fit(
    patterns: Sequence[Pattern], views: Sequence[View], frame: Shape, known: Captures
) -> Iterator[Captures]:
    """The ways in which each pattern fits its view."""
    if not patterns:
        yield known
        return
    for found in patterns[0].fits(views[0], frame, known):
        yield from all_fit(patterns[1:], views[1:], frame, found)


@dataclass(frozen=True)
class Reduce(Pattern):
    """A reduction of what fits `pattern` over axes of the frame, which are captured as "axes".

    The op is captured as "reduction". All reductions of a match are over the same axes.
    """

    op_type: type[ReduceOp]
    pattern: Pattern

    def may_fit(self, present: Kinds) -> bool:
        return self.op_type in present and self.pattern.may_fit(present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if type(op) is not self.op_type:
            return
        reduction = cast(ReduceOp, op)
        reduced = ints(reduction.axes)
        for axes, dims in laid_out(view, frame, shape_of(reduction.x), reduced):
            for found in bound(known, "axes", axes):
                found = {"reduction": op, **found}
                yield from self.pattern.fits(follow(reduction.x, dims), frame, found)


def laid_out(
    view: View, frame: Shape, shape: Shape, reduced: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[int | None, ...]]]:
    """The axes of the frame that dims `reduced` of an operand can run along, and its dims.

    They run along axes where the result does not vary, in ascending order. Dims of 1 add nothing.
    """
    kept = [dim for dim in range(len(shape)) if dim not in reduced]
    dims = [None if dim is None else kept[dim] for dim in view.dims]
    long = [dim for dim in reduced if shape[dim] != 1]
    free = [axis for axis, dim in enumerate(dims) if dim is None and frame[axis] != 1]
    for axes in combinations(free, len(long)):
        if [frame[axis] for axis in axes] == [shape[dim] for dim in long]:
            place = dict(zip(axes, long, strict=True))
            yield axes, tuple(place.get(axis, dim) for axis, dim in enumerate(dims))


@dataclass(frozen=True)
class Moment(Pattern):
    """Result `index` of nn.moments (0 mean, 1 variance) on what fits `pattern`; see `Reduce`."""

    index: int
    pattern: Pattern

    def may_fit(self, present: Kinds) -> bool:
        return MomentsOp in present and self.pattern.may_fit(present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if not isinstance(op, MomentsOp) or cast(OpResult, view.base).index != self.index:
            return
        shape, channel = shape_of(op.x), integer(op.axis)
        reduced = [dim for dim in range(len(shape)) if dim != channel]
        for axes, dims in laid_out(view, frame, shape, reduced):
            for found in bound(known, "axes", axes):
                found = {"reduction": op, **found}
                yield from self.pattern.fits(follow(op.x, dims), frame, found)


@dataclass(frozen=True)
class Along(Pattern):
    """Softmax or its logarithm of what fits `pattern`, along the one axis captured as "axes"."""

    op_type: type[SoftmaxForward]
    pattern: Pattern

    def may_fit(self, present: Kinds) -> bool:
        return self.op_type in present and self.pattern.may_fit(present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if op is None or type(op) is not self.op_type:
            return
        along = integer(op.properties["axis"])
        axes = tuple(axis for axis, dim in enumerate(view.dims) if dim == along)
        if len(axes) == 1:
            for found in bound(known, "axes", axes):
                yield from self.pattern.fits(view.operand(0), frame, found)
