"""Depthwise convolutions, all directions, against the ops' own meaning."""

import pytest
from hot_cases import CLANG, DEPTHWISE, TARGETS, check, needs_clang, same_bits, some

CASES = [case for conv in DEPTHWISE for case in conv.cases("depthwise")]


@pytest.mark.parametrize("target", TARGETS)
def test_shapes(target: str) -> None:
    check(CASES, target)


def test_parts_run_in_any_order() -> None:
    target = "x86-64-v4:threads=3"
    assert same_bits(check(CASES, target), check(CASES, target, backwards=True))


def test_sanitizers_find_nothing() -> None:
    """Borders, tails of every kind, empty windows."""
    cases = some(CASES, "same", "tf", "odd", "tiny", "blind")
    check(cases, "x86-64-v4:threads=3", sanitized=True)


@needs_clang
def test_clang_agrees() -> None:
    """The same source, warnings and all, with the other compiler."""
    check(some(CASES, "same", "odd", "blind"), "x86-64-v4", compiler=CLANG)


def test_every_number_of_parts_gives_the_same_bits() -> None:
    """Parts divide rows or channels, never a sum."""
    one, three = (check(CASES, f"x86-64-v4:threads={n}") for n in (1, 3))
    assert same_bits(one, three)
