"""Pack buffers with known lifetimes into as few bytes as possible: fixed offsets, no overlap.

Several greedy orders with first fit, best kept; it stops at the live-set lower bound. On training
graphs placing the largest buffers first is within about 1 % of that bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.int64]]

IMPROVEMENT_LIMIT = 512
"""Buffers up to which an order is improved step by step: a step packs all of them again."""

IMPROVEMENT_STEPS = 200


@dataclass(frozen=True)
class Interval:
    """A buffer of `size` bytes that is alive at times lower, ..., upper - 1."""

    lower: int
    upper: int
    size: int


@dataclass(frozen=True)
class Packing:
    """Offsets by buffer, bytes used in all, the lower bound, and the order and its name."""

    offsets: list[int]
    height: int
    bound: int
    name: str
    order: tuple[int, ...]


def live_bound(intervals: Sequence[Interval]) -> int:
    """The most bytes alive at once: no packing is smaller."""
    changes: dict[int, int] = {}
    for interval in intervals:
        changes[interval.lower] = changes.get(interval.lower, 0) + interval.size
        changes[interval.upper] = changes.get(interval.upper, 0) - interval.size
    return max(accumulate(changes[time] for time in sorted(changes)), default=0)


Key = Callable[[Interval], tuple[int, ...]]

ORDERS: Mapping[str, Key] = {
    "size": lambda i: (-i.size, i.lower, i.upper),
    "area": lambda i: (-i.size * (i.upper - i.lower), -i.size, i.lower),
    "lifetime": lambda i: (i.lower - i.upper, -i.size, i.lower),
    "birth": lambda i: (i.lower, -i.size, i.upper),
    "death": lambda i: (-i.upper, -i.size, i.lower),
    "size-then-lifetime": lambda i: (-i.size.bit_length(), i.lower - i.upper, -i.size),
}
"""In which order buffers are placed; ties are broken by number."""


def pack(intervals: Sequence[Interval]) -> Packing:
    """Offsets such that buffers that are alive at the same time do not overlap.

    Sizes should be multiples of the alignment: then so are the offsets.
    """
    bound = live_bound(intervals)
    best: Packing | None = None
    for name, key in ORDERS.items():
        order = sorted(range(len(intervals)), key=lambda i: (*key(intervals[i]), i))
        found = _packing(intervals, order, bound, name)
        if best is None or found.height < best.height:
            best = found
        if best.height == bound:
            return best
    assert best is not None
    return best if len(intervals) > IMPROVEMENT_LIMIT else _improve(intervals, best)


def height_of(intervals: Sequence[Interval], offsets: Sequence[int]) -> int:
    """The end of the last buffer."""
    ends = (offset + i.size for offset, i in zip(offsets, intervals, strict=True))
    return max(ends, default=0)


def _packing(intervals: Sequence[Interval], order: Sequence[int], bound: int, name: str) -> Packing:
    offsets = first_fit(intervals, order)
    return Packing(offsets, height_of(intervals, offsets), bound, name, tuple(order))


def _improve(intervals: Sequence[Interval], best: Packing) -> Packing:
    """Place the buffers at the top before all others, again and again; keep the best packing."""
    current, seen = best, {best.order}
    for _ in range(IMPROVEMENT_STEPS):
        ends = [o + i.size for o, i in zip(current.offsets, intervals, strict=True)]
        # The sort is stable: buffers at the top come first, all others stay in order.
        order = sorted(current.order, key=lambda i: ends[i] != current.height)
        if tuple(order) in seen:
            break
        seen.add(tuple(order))
        current = _packing(intervals, order, best.bound, f"{best.name}, improved")
        if current.height < best.height:
            best = replace(current, name=best.name)
        if best.height == best.bound:
            break
    return best


def first_fit(intervals: Sequence[Interval], order: Sequence[int]) -> list[int]:
    """Give each buffer, in `order`, the lowest place that is free for all of its life."""
    count = len(intervals)
    lower, upper = np.zeros(count, np.int64), np.zeros(count, np.int64)
    begin, end = np.zeros(count, np.int64), np.zeros(count, np.int64)
    offsets = [0] * count
    for placed, index in enumerate(order):
        buffer = intervals[index]
        alive = (lower[:placed] < buffer.upper) & (upper[:placed] > buffer.lower)
        offset = _lowest_gap(begin[:placed][alive], end[:placed][alive], buffer.size)
        offsets[index] = offset
        # Rows stay sorted by their begin, so that no step has to sort.
        row = int(np.searchsorted(begin[:placed], offset))
        for column, value in (
            (lower, buffer.lower),
            (upper, buffer.upper),
            (begin, offset),
            (end, offset + buffer.size),
        ):
            column[row + 1 : placed + 1] = column[row:placed]
            column[row] = value
    return offsets


def _lowest_gap(begin: Numbers, end: Numbers, size: int) -> int:
    """The lowest offset with `size` free bytes beside buffers sorted by their begin."""
    if not len(begin):
        return 0
    reached = np.maximum.accumulate(end)
    if begin[0] >= size:
        return 0
    fits = np.flatnonzero(begin[1:] - reached[:-1] >= size)
    return int(reached[fits[0]] if len(fits) else reached[-1])
