"""The tests of ranks against enumeration, and on samples like those that they are made for."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pock.ranks import exceedance, floor_probability, mann_whitney

SIGNIFICANCE = 1e-5


def mixture(
    rng: np.random.Generator, count: int, opened: float, scale: float = 1.0, floor: float = 0.0
) -> np.ndarray:
    """Errors around 1e-6, and four digits larger in a share of `opened`; no smaller than `floor`.

    So a ReLU's gate that rounding opens makes them. scale multiplies all of them.
    """
    spread = np.exp(0.5 * rng.standard_normal(count))
    errors = scale * spread * np.where(rng.random(count) < opened, 1e-2, 1e-6)
    return np.hypot(errors, floor)


def chance(first: np.ndarray, second: np.ndarray) -> float:
    return min(mann_whitney(first, second), floor_probability(first, second))


def test_exceedance_counts_pairs() -> None:
    assert exceedance([1, 2, 3], [0, 0]) == 1
    assert exceedance([1, 2], [1, 2]) == 0.5
    assert exceedance([0, 3], [1, 2]) == 0.5
    assert exceedance([np.nan, np.inf], [1]) == 1


@pytest.mark.parametrize("values", [np.arange(12.0), np.array([1.0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7])])
def test_probabilities_are_those_of_all_orders(values: np.ndarray) -> None:
    """Every choice of the first sample from the pooled values is equally likely."""
    orders = [np.isin(np.arange(values.size), c) for c in combinations(range(values.size), 6)]
    sums = np.array([exceedance(values[order], values[~order]) for order in orders])
    lowest = np.array([(values[~o] < values[o].min()).sum() for o in orders])
    for order in orders[:: len(orders) // 40]:
        first, second = values[order], values[~order]
        exact = np.mean(sums >= exceedance(first, second))
        assert mann_whitney(first, second) == pytest.approx(exact, abs=0.03)
        below = (second < first.min()).sum()
        if np.unique(values).size == values.size:
            assert floor_probability(first, second) == pytest.approx(np.mean(lowest >= below))


def test_apart_and_alike() -> None:
    small, large = np.linspace(1, 2, 16), np.linspace(3, 4, 16)
    assert chance(large, small) < 1e-8
    assert chance(small, large) == pytest.approx(1.0, abs=1e-6)
    assert mann_whitney(small, small) == pytest.approx(0.5, abs=0.01)
    assert mann_whitney(np.ones(16), np.ones(16)) == 1.0
    assert floor_probability(np.ones(16), np.ones(16)) == 1.0


@pytest.mark.parametrize("opened", [0.0, 0.03, 0.3, 0.5, 0.9, 1.0])
def test_equal_mixtures_are_hardly_ever_rejected(opened: float) -> None:
    """Although their means and their largest values differ by four digits now and then."""
    rng = np.random.default_rng(0)
    pairs = [(mixture(rng, 16, opened), mixture(rng, 16, opened)) for _ in range(2000)]
    assert min(chance(*pair) for pair in pairs) > SIGNIFICANCE
    if 0 < opened < 0.1:
        assert max(a.mean() / b.mean() for a, b in pairs) > 100


@pytest.mark.parametrize(("opened", "runs"), [(0.0, 16), (0.05, 16), (0.2, 48), (0.5, 48)])
def test_a_floor_is_found(opened: float, runs: int) -> None:
    """A value that is wrong by 1e-4, among errors that are 1e-6 or 1e-2."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        wrong, right = mixture(rng, runs, opened, floor=1e-4), mixture(rng, runs, opened)
        assert chance(wrong, right) < SIGNIFICANCE


def test_a_rank_sum_alone_does_not_find_a_floor() -> None:
    wrong = np.array([1e-4] * 12 + [1e-2] * 4)
    right = np.array([1e-6] * 12 + [1e-2] * 4)
    assert mann_whitney(wrong, right) > 1e-4 and floor_probability(wrong, right) < SIGNIFICANCE


@pytest.mark.parametrize(("scale", "runs"), [(8.0, 16), (2.5, 48)])
def test_larger_errors_are_found_where_every_run_opens_gates(scale: float, runs: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        worse, errors = mixture(rng, runs, 1.0, scale), mixture(rng, runs, 1.0)
        assert chance(worse, errors) < SIGNIFICANCE
