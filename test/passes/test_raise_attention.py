"""Decomposed attention becomes a whole op; what only looks like it stays."""

import numpy as np
import pytest
from raising_forms import (
    LOWEST,
    attend,
    causal,
    causal_added,
    causal_not,
    cut,
    dropped,
    flattened,
    flax_attention,
    late_mask,
    masked_fill,
    padded,
    softmax,
    turned,
)
from raising_graphs import Graph, T, check_equal, counts, gradients

from pock_ir.dialects.elementwise import CastOp, ReluOp
from pock_ir.dialects.softmax import LogSoftmaxOp
from pock_ir.op import attribute
from pock_ir.types import dtype_of

HEADS = [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)]


SELF = [(2, 3, 4, 5)] * 3


ATTENTION = {
    "plain": (attend, HEADS, {}),
    "unscaled": (lambda q, k, v: softmax(q @ turned(k)) @ v, HEADS, {"scale": 1.0}),
    "scaled at q and k": (
        lambda q, k, v: softmax((q * 0.5) @ turned(k / 4.0)) @ v,
        HEADS,
        {"scale": 0.125},
    ),
    "one head": (attend, [(2, 4, 5), (2, 6, 5), (2, 6, 7)], {}),
    "one matrix": (attend, [(4, 5), (6, 5), (6, 7)], {}),
    "one query": (attend, [(2, 3, 1, 5), *HEADS[1:]], {}),
    "one batch": (attend, [(1, *shape[1:]) for shape in HEADS], {}),
    "five dims": (attend, [(2, *shape) for shape in HEADS], {}),
    "of flax": (flax_attention, [(2, 4, 3, 5), (2, 6, 3, 5), (2, 6, 3, 7)], {"scale": 0.5}),
    "causal": (causal, SELF, {"causal": True}),
    "causal, lowest": (lambda q, k, v: causal(q, k, v, LOWEST), SELF, {"causal": True}),
    "causal, more keys": (causal, HEADS, {"causal": True}),
    "causal, gt": (
        lambda q, k, v: causal(q, k, v, predicate="gt", offset=-1),
        SELF,
        {"causal": True},
    ),
    "causal, masked fill": (masked_fill, SELF, {"causal": True}),
    "causal, not": (causal_not, SELF, {"causal": True}),
    "causal, added": (causal_added, SELF, {"causal": True}),
    "padding": (padded, [*HEADS, ((2, 6), "i32")], {"mask": "additive"}),
    "heads in the batch": (
        flattened,
        [*HEADS, ((2, 6), "i32"), ((), "i32"), ((), "i32")],
        {"mask": "additive", "dropout": 0.25, "scale": 0.5},
    ),
    "mask of heads": (late_mask, [*HEADS, ((3, 1, 6), "i32")], {"mask": "additive"}),
    "mask of batches": (late_mask, [*HEADS, ((2, 1, 4, 6), "i32")], {"mask": "additive"}),
    "mask of one batch dim": (
        lambda q, k, v, m: softmax(q @ turned(k) + m.unary(CastOp, to=dtype_of(q.value).name)) @ v,
        [(6, 4, 5), (6, 6, 5), (6, 6, 7), ((6, 1, 6), "i32")],
        {"mask": "additive"},
    ),
    "mask of five dims": (
        lambda q, k, v, m: softmax(q @ turned(k) + m.unary(CastOp, to=dtype_of(q.value).name)) @ v,
        [*((2, *shape) for shape in HEADS), ((3, 1, 6), "i32")],
        {"mask": "additive"},
    ),
    "dropout": (dropped, [*HEADS, ((), "i32"), ((), "i32")], {"dropout": 0.25, "stream": 3}),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name: str) -> None:
    form, arguments, properties = ATTENTION[name]
    graph = Graph(form, arguments)
    module = graph.raised()
    (op,) = (op for op in module.walk() if op.name == "nn.attention")
    assert {key: op.properties[key] for key in properties} == {
        key: attribute(value) for key, value in properties.items()
    }
    assert not {"softmax", "matmul"} & counts(module).keys()
    check_equal(graph)


NO_ATTENTION = {
    "mask from data": (cut, [*SELF, ((4, 4), "i1")]),
    "bias": (lambda q, k, v, b: softmax(q @ turned(k) + b) @ v, [*SELF, (3, 4, 4)]),
    "bias table": (lambda q, k, v, b: softmax(q @ turned(k) + 2.0 * b) @ v, [*SELF, (3, 4, 4)]),
    "softmax over queries": (lambda q, k, v: softmax(q @ turned(k), 2) @ v, SELF),
    "keys cannot see": (lambda q, k, v: causal(q, k, v, LOWEST, "le"), SELF),
    "sees one more": (lambda q, k, v: causal(q, k, v, LOWEST, "ge", -1), SELF),
    "not itself": (lambda q, k, v: causal(q, k, v, LOWEST, "gt"), SELF),
    "hidden by little": (lambda q, k, v: causal(q, k, v, -5.0), SELF),
    "log": (lambda q, k, v: (q @ turned(k)).unary(LogSoftmaxOp, axis=3) @ v, SELF),
    "scores of no product": (lambda q, k, v: softmax(q) @ v, [(2, 3, 4, 4)] * 3),
}


@pytest.mark.parametrize("name", NO_ATTENTION)
def test_no_attention(name: str) -> None:
    form, arguments = NO_ATTENTION[name]
    graph = Graph(form, arguments)
    assert "attention" not in counts(graph.raised())
    given = graph.arrays("f64")
    given = [a | np.eye(4, dtype=bool) if a.dtype == bool else a for a in given]
    check_equal(graph, given)


def test_scores_that_are_returned_as_well_stay() -> None:
    def form(q: T, k: T, v: T) -> list[T]:
        weights = softmax(q @ turned(k))
        return [weights @ v, weights]

    graph = Graph(form, HEADS)
    names = counts(graph.raised())
    assert (names["softmax"], names.get("attention", 0)) == (1, 0)
    check_equal(graph)


def test_gradients_are_compared() -> None:
    """The comparison itself sees a wrong gradient."""
    graph = Graph(lambda x: x.maximum(0.0), [(3,)])
    relu = Graph(lambda x: x.unary(ReluOp), [(3,)])
    zeros = [np.zeros(3)]
    assert not np.allclose(
        gradients(graph.module("f64"), zeros), gradients(relu.module("f64"), zeros)
    )
