"""What is known of attention masks: what hides keys, which are causal, which have no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from pock_ir.dialects.elementwise import (
    AddOp,
    CompareOp,
    LogicalAndOp,
    LogicalNotOp,
    LogicalOrOp,
    SelectOp,
    StopGradientOp,
    SubOp,
)
from pock_ir.dialects.shape import IotaOp
from pock_ir.op import integer, text
from pock_ir.passes.raising.views import View
from pock_ir.passes.signature import argument_attributes, kind_of
from pock_ir.types import dtype_of

FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}

HIDING = -1e9
"""A score that hides a key from queries that see another one: Keras writes this.

Beside any score that a model computes its probability is exactly 0, in f32 and in f64.
"""

HALF = 0.5
"""The same for smaller types, as a share of their smallest number."""

MOST_PARTS = 4
"""How many negations and conjunctions within each other are taken apart."""

MOST_OPS = 64
"""How many ops a mask may be made of: more are not looked at, so that the time stays linear."""


@dataclass(frozen=True)
class Condition:
    """Keys are visible where `view`, an i1, is true, or false if `negated`."""

    view: View
    negated: bool = False

    @property
    def is_always(self) -> bool:
        """Whether all keys are visible."""
        number = self.view.number
        return number is not None and bool(number) != self.negated

    @property
    def is_causal(self) -> bool:
        """Whether each query sees the keys up to its own place."""
        return _sees(self.view, "gt" if self.negated else "le")

    def parts(self, depth: int = MOST_PARTS) -> Iterator[Condition]:
        """The conditions that all have to hold for this one."""
        op, negated = self.view.owner, self.negated
        if depth and isinstance(op, LogicalNotOp):
            yield from Condition(self.view.operand(0), not negated).parts(depth - 1)
        elif depth and isinstance(op, LogicalOrOp if negated else LogicalAndOp):
            for index in (0, 1):
                yield from Condition(self.view.operand(index), negated).parts(depth - 1)
        else:
            yield self


@dataclass(frozen=True)
class Hidden:
    """`view` where the condition holds, the number `fill` elsewhere."""

    view: View
    condition: Condition
    fill: float


def hidden_scores(view: View) -> Hidden | None:
    """The scores and the condition if this is scores some of which are hidden by a number."""
    found = chosen(view)
    return found if found is not None and hides(found.fill, found.view) else None


def chosen(view: View) -> Hidden | None:
    """The parts if this is a choice between a tensor and a number."""
    if not isinstance(view.owner, SelectOp):
        return None
    condition, a, b = (view.operand(index) for index in range(3))
    if b.number is not None:
        return Hidden(a, Condition(condition), b.number)
    return None if a.number is None else Hidden(b, Condition(condition, True), a.number)


def is_causal(mask: View) -> bool:
    """Whether this is 0 where a causal mask lets a key be seen, and hides the others."""
    op = mask.owner
    if not isinstance(op, SelectOp):
        return False
    condition, a, b = (mask.operand(index) for index in range(3))
    return (a.number == 0.0 and is_hidden(b) and _sees(condition, "le")) or (
        b.number == 0.0 and is_hidden(a) and _sees(condition, "gt")
    )


def is_hidden(view: View) -> bool:
    """Whether a score of this, or one that this is added to, has probability 0."""
    return view.number is not None and hides(view.number, view)


def hides(number: float, like: View) -> bool:
    """Whether a score of this number has probability 0 beside those of `like`, and -inf does."""
    dtype = dtype_of(like.base)
    if not dtype.is_float:
        return False
    if dtype.bytes >= 4:
        return number <= HIDING
    largest = 3.3e38 if dtype.name == "bf16" else float(np.finfo(dtype.numpy).max)
    return number <= -HALF * largest


def _sees(condition: View, predicate: str) -> bool:
    """Whether this says key `predicate` query, by their positions."""
    op = condition.owner
    if isinstance(op, LogicalNotOp):
        return predicate in NEGATED and _sees(condition.operand(0), NEGATED[predicate])
    if not isinstance(op, CompareOp):
        return False
    left, right = (_position(condition.operand(index)) for index in (0, 1))
    if left is None or right is None:
        return False
    found, rank = text(op.predicate), len(condition.dims)
    if (left[0], right[0]) == (rank - 2, rank - 1):
        left, right, found = right, left, FLIPPED.get(found, found)
    if (left[0], right[0]) != (rank - 1, rank - 2):
        return False
    # key + a < query + b is key + a + 1 <= query + b, and so on.
    distance = right[1] - left[1]
    if found in ("lt", "ge"):
        distance, found = distance - 1, {"lt": "le", "ge": "gt"}[found]
    return distance == 0 and found == predicate


def _position(view: View) -> tuple[int, int] | None:
    """(axis, c) if this is the position along an axis of the frame, plus c."""
    op, offset = view.owner, 0
    while isinstance(op, AddOp | SubOp):
        number = view.operand(1).number
        if number is None or number % 1:
            return None
        offset += int(number) if isinstance(op, AddOp) else -int(number)
        view = view.operand(0)
        op = view.owner
    if not isinstance(op, IotaOp):
        return None
    axes = [axis for axis, dim in enumerate(view.dims) if dim == integer(op.axis)]
    return (axes[0], offset) if len(axes) == 1 else None


def is_data(value: SSAValue) -> bool:
    """Whether the value depends on no parameter through floats, and so has no gradient.

    It is made of numbers, integers, conditions and what the function is given beside parameters.
    """
    pending, seen = [value], set[SSAValue]()
    while pending:
        value = pending.pop()
        if value in seen or not dtype_of(value).is_float:
            continue
        seen.add(value)
        if len(seen) > MOST_OPS:
            return False
        if isinstance(value, BlockArgument):
            if not _is_given(value):
                return False
        elif isinstance(value.owner, Operation) and not isinstance(value.owner, StopGradientOp):
            pending.extend(value.owner.operands)
    return True


def _is_given(argument: BlockArgument) -> bool:
    """Whether an argument is of a kind that is never trained."""
    function = argument.block.parent_op()
    if not isinstance(function, FuncOp):
        return False
    return kind_of(argument_attributes(function)[argument.index]) not in ("", "parameter")
