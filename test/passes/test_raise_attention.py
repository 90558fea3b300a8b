"""Decomposed attention becomes a whole op; what only looks like it stays."""

from math import inf

import numpy as np
import pytest
from raising_forms import (
    LOWEST,
    added,
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
    twice,
    zeroed,
)
from raising_graphs import Graph, T, check_equal, counts, gradients

from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import CastOp, ReluOp
from pock_ir.dialects.softmax import LogSoftmaxOp
from pock_ir.op import attribute
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.signature import described, set_argument_attributes
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.types import dtype_of

HEADS = [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)]


SELF = [(2, 3, 4, 5)] * 3


KEYS = ((2, 6), "i1")
QUERIES = ((4, 4), "i1")

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
    "keys cannot see": (
        lambda q, k, v: causal(q, k, v, LOWEST, "le"),
        SELF,
        {"mask": "boolean", "causal": False, "masked_rows": "uniform"},
    ),
    "sees one more": (
        lambda q, k, v: causal(q, k, v, LOWEST, "ge", -1),
        SELF,
        {"mask": "boolean", "causal": False},
    ),
    "not itself": (
        lambda q, k, v: causal(q, k, v, LOWEST, "gt"),
        SELF,
        {"mask": "boolean", "causal": False, "masked_rows": "uniform"},
    ),
    "mask from data": (cut, [*SELF, QUERIES], {"mask": "boolean", "masked_rows": "nan"}),
    "mask from data, lowest": (
        lambda q, k, v, m: cut(q, k, v, m, LOWEST),
        [*SELF, QUERIES],
        {"mask": "boolean", "masked_rows": "uniform"},
    ),
    "of Keras": (
        zeroed,
        [*HEADS, KEYS],
        {"mask": "boolean", "causal": True, "masked_rows": "zero"},
    ),
    "two conditions": (
        twice,
        [*HEADS, KEYS],
        {"mask": "boolean", "causal": True, "masked_rows": "uniform"},
    ),
    "two conditions, -inf": (
        lambda q, k, v, m: twice(q, k, v, m, -inf, -inf),
        [*HEADS, KEYS],
        {"mask": "boolean", "causal": True, "masked_rows": "nan"},
    ),
    "added": (added, [*SELF, QUERIES], {"mask": "additive", "masked_rows": "nan"}),
    "added, lowest": (
        lambda q, k, v, m: added(q, k, v, m, LOWEST),
        [*SELF, QUERIES],
        {"mask": "additive", "masked_rows": "nan"},
    ),
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
    check_equal(graph, blinded(graph))


def blinded(graph: Graph) -> list[np.ndarray]:
    """Arguments with which some queries see no key, and others see one."""
    arrays = graph.arrays("f64")
    for array in arrays:
        if array.dtype == bool:
            array[0], array[1, 0] = False, True
    return arrays


NO_ATTENTION = {
    "bias": (lambda q, k, v, b: softmax(q @ turned(k) + b) @ v, [*SELF, (3, 4, 4)]),
    "bias table": (lambda q, k, v, b: softmax(q @ turned(k) + 2.0 * b) @ v, [*SELF, (3, 4, 4)]),
    "softmax over queries": (lambda q, k, v: softmax(q @ turned(k), 2) @ v, SELF),
    "hidden by little": (lambda q, k, v: causal(q, k, v, -5.0), SELF),
    "log": (lambda q, k, v: (q @ turned(k)).unary(LogSoftmaxOp, axis=3) @ v, SELF),
    "hidden by two numbers": (
        lambda q, k, v, m: twice(q, k, v, m, LOWEST, -2e38),
        [*HEADS, KEYS],
    ),
    "hidden by -inf and a number": (
        lambda q, k, v, m: twice(q, k, v, m, -inf, LOWEST),
        [*HEADS, KEYS],
    ),
    "a number where another is added": (
        lambda q, k, v, m: twice(q, k, v, m, added=LOWEST),
        [*HEADS, KEYS],
    ),
    "zeroed by another condition": (zeroed, [*HEADS, KEYS, KEYS]),
    "scores of no product": (lambda q, k, v: softmax(q) @ v, [(2, 3, 4, 4)] * 3),
}


@pytest.mark.parametrize("name", NO_ATTENTION)
def test_no_attention(name: str) -> None:
    form, arguments = NO_ATTENTION[name]
    graph = Graph(form, arguments)
    assert "attention" not in counts(graph.raised())
    check_equal(graph, blinded(graph))


@pytest.mark.parametrize(("kind", "count"), [("input", 1), ("parameter", 0)])
def test_float_mask_of_a_kind(kind: str, count: int) -> None:
    """What the function is given has no gradient; a trained bias stays decomposed."""
    graph = Graph(lambda q, k, v, m: softmax(q @ turned(k) + m) @ v, [*SELF, (2, 1, 1, 4)])
    module = graph.module()
    (function,) = module.ops
    kinds = [described("input", name) for name in "qkv"]
    set_argument_attributes(function, [*kinds, described(kind, "m")])
    for action in (CanonicalizePass(), SimplifyPass(), RaiseOpsPass()):
        action.apply(make_context(), module)
    assert counts(module).get("attention", 0) == count


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
