"""Attention and its gradient, against the ops' own meaning."""

import pytest
from hot_cases import ATTENTION, TARGETS, check, same_bits

CASES = [case for attend in ATTENTION for case in attend.cases()]
# The gradient subtracts sums of a hundred terms; f32 keeps about 4e-6 of the largest.
TOLERANCE = 5e-6


@pytest.mark.parametrize("target", TARGETS)
def test_shapes(target: str) -> None:
    check(CASES, target, TOLERANCE)


def test_parts_run_in_any_order() -> None:
    target = "x86-64-v4:threads=2"
    assert same_bits(
        check(CASES, target, TOLERANCE), check(CASES, target, TOLERANCE, backwards=True)
    )


@pytest.mark.parametrize("target", ("c", "x86-64-v4:threads=2"))
def test_sanitizers_find_nothing(target: str) -> None:
    check(CASES, target, TOLERANCE, sanitized=True)
