"""Orders: valid, bounded below, and better than the text where there is something to gain."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pock_ir.passes.orders import (
    HEURISTICS,
    Graph,
    best_order,
    forward,
    is_valid,
    lower_bound,
    peak,
)


def graph_of(made: list[tuple[int, list[int]]]) -> Graph:
    """Calls that each make one place of so many bytes, from the results of earlier calls."""
    count = len(made)
    before = [sorted(set(reads)) for _, reads in made]
    after: list[list[int]] = [[] for _ in made]
    touching = [[call] for call in range(count)]
    for call, reads in enumerate(before):
        for read in reads:
            after[read].append(call)
            touching[read].append(call)
    return Graph(
        before=before,
        after=after,
        touched=[[*reads, call] for call, reads in enumerate(before)],
        made=[[call] for call in range(count)],
        scratch=[0] * count,
        shared=[[] for _ in made],
        bytes=[size for size, _ in made],
        touching=touching,
    )


def random_graph(random: Random, count: int) -> Graph:
    return graph_of(
        [
            (random.choice((1, 4, 64)), [random.randrange(i) for _ in range(random.randrange(3))])
            if i
            else (1, [])
            for i in range(count)
        ]
    )


def brute_force(graph: Graph) -> int:
    """The smallest peak of all orders."""
    best = [10**9]

    def extend(order: list[int], done: set[int]) -> None:
        if len(order) == len(graph):
            best[0] = min(best[0], peak(graph, order)[0])
            return
        for call in range(len(graph)):
            if call not in done and all(first in done for first in graph.before[call]):
                extend([*order, call], done | {call})

    extend([], set())
    return best[0]


@settings(deadline=None, max_examples=60)
@given(random=st.randoms(use_true_random=False), count=st.integers(1, 30))
def test_every_heuristic_gives_a_valid_order(random: Random, count: int) -> None:
    graph = random_graph(random, count)
    for name, heuristic in HEURISTICS.items():
        assert is_valid(graph, heuristic(graph)), name
    choice = best_order(graph, tuple(HEURISTICS))
    assert choice.bound <= choice.peak
    assert choice.peak == min(peak(graph, h(graph))[0] for h in HEURISTICS.values())


@settings(deadline=None, max_examples=40)
@given(random=st.randoms(use_true_random=False), count=st.integers(1, 7))
def test_no_order_beats_the_bound(random: Random, count: int) -> None:
    graph = random_graph(random, count)
    assert lower_bound(graph) <= brute_force(graph) <= best_order(graph, tuple(HEURISTICS)).peak


def test_branches_run_one_after_the_other() -> None:
    """Ten branches, each a large value and then a small one: one large value at a time."""
    large = [(100, []) for _ in range(10)]
    small = [(1, [i]) for i in range(10)]
    graph = graph_of([*large, *small, (1, list(range(10, 20)))])
    assert peak(graph, list(range(21)))[0] == 1001
    choice = best_order(graph, tuple(HEURISTICS))
    assert (choice.peak, choice.bound) == (110, 101)


@pytest.mark.parametrize("count", [1000, 2000, 4000])
def test_list_scheduling_does_a_linear_number_of_comparisons(count: int) -> None:
    """Every call is pushed once when it is ready, and once more for each place it then ends."""
    graph = random_graph(Random(1), count)
    pushes: list[int] = []

    def priority(change: int, call: int) -> tuple[int, int]:
        pushes.append(call)
        return change, call

    forward(graph, priority)
    assert len(pushes) <= count + sum(map(len, graph.touched))
