"""What is known of attention masks: which are causal, and which are finite everywhere."""

from __future__ import annotations

from math import isfinite

import numpy as np
from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    CompareOp,
    LogicalNotOp,
    MulOp,
    NegOp,
    SelectOp,
    SubOp,
)
from pock_ir.dialects.shape import (
    BroadcastOp,
    ConstantOp,
    IotaOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from pock_ir.op import integer, text
from pock_ir.passes.raising.views import View
from pock_ir.types import dtype_of

FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}

FINITE = (
    AddOp,
    BroadcastOp,
    MulOp,
    NegOp,
    ReshapeOp,
    SelectOp,
    SliceOp,
    SubOp,
    TransposeOp,
)
"""Ops whose result is finite if their float operands are, but for an overflow."""

MOST_OPS = 64
"""How many ops a mask may be made of: more are not looked at, so that the time stays linear."""


def visible_scores(view: View) -> View | None:
    """The scores s if this is s where a causal mask lets a key be seen, and hidden elsewhere."""
    op = view.owner
    if not isinstance(op, SelectOp):
        return None
    condition, a, b = (view.operand(index) for index in range(3))
    if is_hidden(b) and _sees(condition, "le"):
        return a
    return b if is_hidden(a) and _sees(condition, "gt") else None


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
    """Whether a score of this, or one that this is added to, has probability 0.

    So do -inf and, beside any score that a model computes, half of the smallest number of the type.
    """
    dtype = dtype_of(view.base)
    if view.number is None or not dtype.is_float:
        return False
    name = dtype.name
    largest = 3.3e38 if name == "bf16" else float(np.finfo(dtype.numpy).max)
    return view.number <= -0.5 * largest


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


def is_finite(value: SSAValue) -> bool:
    """Whether all elements are known to be finite: made of numbers, integers and conditions.

    So the value depends on no parameter through floats, and has no gradient. A product is taken
    not to overflow: integers that mask something are 0 or 1.
    """
    pending, seen = [value], set[SSAValue]()
    while pending:
        value = pending.pop()
        if value in seen or not dtype_of(value).is_float:
            continue
        seen.add(value)
        op = value.owner
        if len(seen) > MOST_OPS:
            return False
        if isinstance(op, ConstantOp):
            if not isfinite(op.number()):
                return False
        elif isinstance(op, FINITE) or (isinstance(op, CastOp) and _widens(op)):
            pending.extend(op.operands)
        elif not isinstance(op, IotaOp):
            return False
    return True


def _widens(op: CastOp) -> bool:
    """Whether a cast cannot overflow: from integers, or to a type that is no smaller."""
    source, target = dtype_of(op.x), dtype_of(op.result)
    return not source.is_float or target.bytes >= source.bytes
