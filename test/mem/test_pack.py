"""Packing buffers: no overlap, never below the bound, and how near to it."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pock_ir.passes.pack import Interval, Packing, height_of, live_bound, pack

INTERVALS = st.lists(
    st.builds(
        lambda lower, length, size: Interval(lower, lower + length, size),
        st.integers(0, 30),
        st.integers(1, 12),
        st.integers(1, 50).map(lambda size: 64 * size),
    ),
    max_size=40,
)


def assert_sound(intervals: list[Interval], packing: Packing) -> None:
    """No two buffers share a byte at any time; checked by brute force."""
    rows = list(zip(intervals, packing.offsets, strict=True))
    for index, (a, begin) in enumerate(rows):
        assert begin >= 0 and begin % 64 == 0
        for b, other in rows[:index]:
            apart_in_time = a.upper <= b.lower or b.upper <= a.lower
            assert apart_in_time or begin + a.size <= other or other + b.size <= begin
    assert packing.height == height_of(intervals, packing.offsets)
    assert packing.bound <= packing.height <= sum(i.size for i in intervals)


@settings(deadline=None, max_examples=100)
@given(intervals=INTERVALS)
def test_packings_are_sound(intervals: list[Interval]) -> None:
    assert_sound(intervals, pack(intervals))


def test_live_bound() -> None:
    assert live_bound([]) == 0
    assert live_bound([Interval(0, 2, 10), Interval(1, 3, 5), Interval(2, 4, 10)]) == 15


def test_a_buffer_that_ends_makes_room_at_once() -> None:
    packing = pack([Interval(0, 1, 64), Interval(1, 2, 64)])
    assert packing.height == 64


def challenge(seed: int, count: int) -> list[Interval]:
    """Buffers like those of MiniMalloc's challenges: many sizes, lives short and long."""
    random = Random(seed)
    intervals: list[Interval] = []
    for _ in range(count):
        lower = random.randrange(200)
        length = random.choice((1, 2, 4, 8, 40, 120))
        intervals.append(Interval(lower, lower + length, 64 * random.choice((1, 2, 3, 16, 64))))
    return intervals


@pytest.mark.parametrize("seed", range(8))
def test_hard_random_instances_stay_near_the_bound(seed: int) -> None:
    """Greedy orders alone are up to 41 % above the bound on MiniMalloc's challenges."""
    intervals = challenge(seed, 200)
    packing = pack(intervals)
    assert_sound(intervals, packing)
    assert packing.height <= 1.15 * packing.bound


def training(layers: int) -> list[Interval]:
    """The lives of a training step: layer i's activation waits for its backward call."""
    last = 2 * layers
    sizes = [64 * (1 + (7 * i) % 11) for i in range(layers)]
    saved = [Interval(i, last - i, size) for i, size in enumerate(sizes)]
    gradients = [Interval(last - i - 1, last - i + 1, size) for i, size in enumerate(sizes)]
    return saved + gradients


@pytest.mark.parametrize("layers", [10, 100, 1000])
def test_training_steps_reach_the_bound_nearly(layers: int) -> None:
    intervals = training(layers)
    packing = pack(intervals)
    assert packing.height <= 1.01 * packing.bound
