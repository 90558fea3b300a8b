"""Decomposed softmax and log-softmax become whole ops; what only looks like them stays."""

import numpy as np
import pytest
from raising_forms import (
    X,
    exp,
    jax_softmax,
    log,
    log_softmax,
    log_sum_exp,
    softmax,
    softmax_by_reciprocal,
    softmax_channels_last,
    stopped_softmax,
)
from raising_graphs import Graph, check_equal, counts

from pock_ir.interpret import run_function

SOFTMAX = {
    "shifted by the maximum": (softmax, {"softmax": 1}),
    "middle axis": (lambda x: softmax(x, 1), {"softmax": 1}),
    "plain": (lambda x: exp(x) / exp(x).sum(-1), {"softmax": 1}),
    "jax": (jax_softmax, {"softmax": 1}),
    "without a gradient of the maximum": (stopped_softmax, {"softmax": 1}),
    "reciprocal": (softmax_by_reciprocal, {"softmax": 1}),
    "exp of x - logsumexp": (lambda x: exp(x - log_sum_exp(x)), {"softmax": 1}),
    "log": (log_softmax, {"log_softmax": 1}),
    "x - logsumexp": (lambda x: x - log_sum_exp(x), {"log_softmax": 1}),
    "x - guarded logsumexp": (lambda x: x - log_sum_exp(x, True), {"log_softmax": 1}),
    "x - log of sum": (lambda x: x - log(exp(x).sum(-1)), {"log_softmax": 1}),
    "of a sum": (lambda x: softmax(x + x), {"add": 1, "softmax": 1}),
}


@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax(name: str) -> None:
    form, expected = SOFTMAX[name]
    graph = Graph(form, X)
    assert counts(graph.raised()) == expected
    check_equal(graph)


def test_softmax_behind_a_transpose() -> None:
    graph = Graph(softmax_channels_last, X)
    assert counts(graph.raised())["softmax"] == 1
    assert "exp" not in counts(graph.raised())
    check_equal(graph)


def test_whole_softmax_does_not_overflow() -> None:
    graph = Graph(lambda x: exp(x) / exp(x).sum(-1), [(1, 2)])
    (y,) = run_function(graph.raised(), "f", [np.array([[1000.0, 0.0]], np.float32)])
    assert y.tolist() == [[1.0, 0.0]]


NOT_SOFTMAX = {
    "sums of rows along columns": lambda x: exp(x) / exp(x).sum(1, keep=False).spread((4, 4)),
    "sum over two axes": lambda x: exp(x) / exp(x).sum(0, 1),
    "sum of others": lambda x: exp(x) / exp(x + x).sum(-1),
    "sum of no powers": lambda x: exp(x) / x.sum(-1),
    "maximum not taken out": lambda x: x - (x.max(-1) + log(exp(x).sum(-1))),
    "another maximum": lambda x: x - (x.max(0) + log(exp(x - x.max(0)).sum(-1))),
    "log of softmax": lambda x: log(x.sum(-1) / exp(x).sum(-1)),
}


@pytest.mark.parametrize("name", NOT_SOFTMAX)
def test_no_softmax(name: str) -> None:
    graph = Graph(NOT_SOFTMAX[name], [(4, 4)])
    assert not {"softmax", "log_softmax"} & counts(graph.raised()).keys()
    check_equal(graph)


def test_log_of_softmax_stays() -> None:
    found = counts(Graph(lambda x: log(softmax(x)), X).raised())
    assert found == {"softmax": 1, "log": 1}


def test_a_shift_that_is_no_maximum_stays_in_the_logits() -> None:
    graph = Graph(lambda x, c: exp(x - c) / exp(x - c).sum(-1), [(3, 4), (3, 1)])
    assert counts(graph.raised())["sub"] == 1
    check_equal(graph)
