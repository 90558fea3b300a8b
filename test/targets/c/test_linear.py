"""Linear layers: every layout, cut and epilogue, against the op's own meaning."""

import pytest
from hot_cases import (
    CLANG,
    TARGETS,
    check,
    linear_cases,
    linear_epilogue_cases,
    needs_clang,
    same_bits,
    some,
    update_cases,
)


@pytest.mark.parametrize("target", TARGETS)
def test_shapes(target: str) -> None:
    check(linear_cases(), target)


@pytest.mark.parametrize("target", TARGETS)
def test_epilogues(target: str) -> None:
    check([*linear_epilogue_cases(), *update_cases()], target)


def test_parts_run_in_any_order() -> None:
    """Two parts, forwards and backwards: the same bits."""
    cases = [*linear_cases(), *linear_epilogue_cases(), *update_cases()]
    target = "x86-64-v4:threads=2"
    assert same_bits(check(cases, target), check(cases, target, backwards=True))


def test_sanitizers_find_nothing() -> None:
    """Tails, packed and unpacked operands, partial sums, updates."""
    cases = some(linear_cases(), "o10", "o24", "deep_rows_oi")
    cases += some([*linear_epilogue_cases(), *update_cases()], "gelu_70", "sgd_1500_37")
    check(cases, "x86-64-v4:threads=2", sanitized=True)


@needs_clang
def test_clang_agrees() -> None:
    """The same source, warnings and all, with the other compiler."""
    cases = [*some(linear_cases(), "row", "o10", "panels"), *some(update_cases(), "adam_50")]
    check(cases, "x86-64-v4", compiler=CLANG)
