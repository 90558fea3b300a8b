"""Linear layers: every layout, cut and epilogue, against the op's own meaning."""

import pytest
from hot_cases import TARGETS, check, linear_cases, linear_epilogue_cases, same_bits, update_cases


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


@pytest.mark.parametrize("target", ("c", "x86-64-v4:threads=2"))
def test_sanitizers_find_nothing(target: str) -> None:
    check([*linear_cases(), *linear_epilogue_cases(), *update_cases()], target, sanitized=True)
