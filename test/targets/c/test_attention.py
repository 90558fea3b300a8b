"""Attention and its gradient, against the ops' own meaning."""

import pytest
from batch import Case
from harness import call_of
from hot_cases import ATTENTION, CLANG, TARGETS, check, needs_clang, same_bits, some
from samples.attention import SAMPLES

CASES = [case for attend in ATTENTION for case in attend.cases()]
# The samples add rows without a visible key and masks of large numbers, by every rule.
for sample in SAMPLES:
    kernel = sample.op_type.name.split(".")[1]
    call = call_of(sample.op_type, sample.types(), sample.properties)
    CASES.append(Case(str(sample), call, kernel, sample.arrays()))
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


def test_sanitizers_find_nothing() -> None:
    """Tails, masks of both kinds, random numbers."""
    cases = some(CASES, "odd", "padding", "bias", "uniform0.25", "nan0.25", "train.")
    check(cases, "x86-64-v4:threads=2", TOLERANCE, sanitized=True)


@needs_clang
def test_clang_agrees() -> None:
    """The same source, warnings and all, with the other compiler."""
    check(some(CASES, "odd", "bias", "uniform0.25"), "x86-64-v4", TOLERANCE, compiler=CLANG)
