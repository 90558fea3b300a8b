"""Batched matrix products, against the op's own meaning."""

import pytest
from hot_cases import TARGETS, check, matmul_cases, same_bits, some


@pytest.mark.parametrize("target", TARGETS)
def test_shapes(target: str) -> None:
    check(matmul_cases(), target)


def test_parts_run_in_any_order() -> None:
    target = "x86-64-v4:threads=3"
    assert same_bits(check(matmul_cases(), target), check(matmul_cases(), target, backwards=True))


def test_sanitizers_find_nothing() -> None:
    check(some(matmul_cases(), "heads", "vector"), "x86-64-v4:threads=3", sanitized=True)
