"""Decomposed norms become whole ops; what only looks like them stays."""

import numpy as np
import pytest
from raising_forms import (
    X,
    batch_norm,
    exp,
    fast,
    flax_layer_norm,
    inference,
    jax_layer_norm,
    keras_batch_norm,
    keras_jax_norm,
    keras_norm,
    moments_norm,
    normalized,
    rms,
    rsqrt,
    square,
    stopped,
    sum_over_count,
    variance,
)
from raising_graphs import Graph, T, check_equal, counts

from pock_ir.dialects.elementwise import SqrtOp
from pock_ir.interpret import run_function

ROW = [(3, 4, 5), (5,), (5,)]


PICTURE = [(3, 4, 2, 6), (4,), (4,)]


LAST = [(3, 4, 5, 5), (5,), (5,)]


NORMS = {
    "layer norm": (lambda x, g, b: normalized(x, -1) * g + b, ROW, "layer_norm"),
    "factor first": (lambda x, g, b: g * normalized(x, -1) + b, ROW, "layer_norm"),
    "by square root": (
        lambda x, g, b: g * (x - x.mean(-1)) / (variance(x, -1) + 1e-5).unary(SqrtOp) + b,
        ROW,
        "layer_norm",
    ),
    "by powers": (
        lambda x, g, b: (x - x.mean(-1)) * (((x - x.mean(-1)) ** 2.0).mean(-1) + 1e-5) ** -0.5 * g,
        ROW,
        "layer_norm",
    ),
    "without parameters": (lambda x: normalized(x, -1), X, "layer_norm"),
    "over two dims": (
        lambda x, g, b: normalized(x, 1, 2) * g + b,
        [(3, 4, 5), (4, 5), (4, 5)],
        "layer_norm",
    ),
    "of jax": (jax_layer_norm, ROW, "layer_norm"),
    "of keras": (lambda x, g, b: keras_norm(x, g, b, -1), ROW, "layer_norm"),
    "of keras on jax": (lambda x, g, b: keras_jax_norm(x, g, b, -1), ROW, "layer_norm"),
    "of rows": (lambda x, g, b: normalized(x, -1) * g + b, [(3, 5), (5,), (5,)], "layer_norm"),
    "of one row": (lambda x, g, b: normalized(x, -1) * g + b, [(1, 5), (5,), (5,)], "layer_norm"),
    "instance norm": (lambda x: normalized(x, 2, 3), PICTURE[:1], "layer_norm"),
    "batch norm": (batch_norm, PICTURE, "batch_norm"),
    "batch norm of one picture": (batch_norm, [(1, 4, 2, 6), (4,), (4,)], "batch_norm"),
    "batch norm of keras": (keras_batch_norm, LAST, "batch_norm"),
    "batch norm of rows": (
        lambda x, g, b: normalized(x, 0) * g + b,
        [(7, 5), (5,), (5,)],
        "batch_norm",
    ),
    "batch norm from moments": (moments_norm, ROW, "batch_norm"),
    "rms norm": (lambda x, g: g * rms(x), ROW[:2], "rms_norm"),
    "rms norm by quotient": (
        lambda x, g: x / (square(x).mean(-1) + 1e-6).unary(SqrtOp) * g,
        ROW[:2],
        "rms_norm",
    ),
    "rms norm, factor inside": (
        lambda x, g: x * (rsqrt(sum_over_count(x * x, -1) + 1e-6) * g),
        ROW[:2],
        "rms_norm",
    ),
    "rms norm without factor": (lambda x: rms(x), X, "rms_norm"),
}


AROUND = {"constant", "reshape", "mul", "broadcast"}


@pytest.mark.parametrize("name", NORMS)
def test_norm(name: str) -> None:
    form, arguments, expected = NORMS[name]
    graph = Graph(form, arguments)
    names = counts(graph.raised())
    assert names.pop(expected) == 1
    assert not names.keys() - AROUND
    # What is left are running statistics, which read those of the whole op.
    (function,) = graph.module().ops
    assert names.get("mul", 0) == len(function.body.block.last_op.operands) - 1
    check_equal(graph)


def test_batch_norm_of_given_statistics() -> None:
    graph = Graph(inference, [(3, 4, 5), *[(5,)] * 4])
    assert counts(graph.raised()) == {"batch_norm_inference": 1}
    arrays = [np.abs(a) if i == 4 else a for i, a in enumerate(graph.arrays("f64"))]
    check_equal(graph, arrays)
    channels_first = [(3, 5, 4), *[(5, 1)] * 4]
    graph = Graph(
        lambda x, g, b, m, v: (x - m) * rsqrt(v + 1e-3) * g + b,
        channels_first,
    )
    names = counts(graph.raised())
    assert names.pop("batch_norm_inference") == 1
    assert not names.keys() - {"reshape"}
    check_equal(graph, [np.abs(a) if i == 4 else a for i, a in enumerate(graph.arrays("f64"))])


def test_one_pass_variance_is_raised_only_if_asked_for() -> None:
    graph = Graph(flax_layer_norm, ROW)
    assert "layer_norm" not in counts(graph.raised())
    assert counts(graph.raised(fast_variance=True)) == {"layer_norm": 1}
    check_equal(graph)
    check_equal(graph, fast_variance=True)
    plain = Graph(lambda x: (x - x.mean(0, 1)) * rsqrt(fast(x, 0, 1) + 1e-3), X)
    assert counts(plain.raised(fast_variance=True)) == {"constant": 2, "batch_norm": 1}


def test_one_pass_variance_cancels_where_two_passes_do_not() -> None:
    """Why the two are not the same: a mean of 1000 leaves few digits of a variance of 1."""
    graph = Graph(flax_layer_norm, ROW)
    x, g, b = (a.astype(np.float32) for a in graph.arrays("f64"))
    far = [x + np.float32(1000.0), g, b]
    (kept,) = run_function(graph.raised(), "f", far)
    (raised,) = run_function(graph.raised(fast_variance=True), "f", far)
    assert np.max(np.abs(kept - raised)) > 1e-3
    wide = [a.astype(np.float64) for a in far]
    (exact,) = run_function(graph.module("f64"), "f", wide)
    assert np.max(np.abs(raised - exact)) < 1e-3


NOT_A_NORM = {
    "variance over another axis": (
        lambda x: (x - x.mean(-1)) * rsqrt(square(x - x.mean(-1)).mean(1) + 1e-5),
        [(4, 4, 4)],
    ),
    "mean over another axis": (
        lambda x: (x - x.mean(1)) * rsqrt(variance(x, -1) + 1e-5),
        [(4, 4, 4)],
    ),
    "unbiased variance": (lambda x: (x - x.mean(-1)) * rsqrt(variance(x, -1) * 1.25 + 1e-5), X),
    "another count": (
        lambda x: (x - x.mean(-1)) * rsqrt(square(x - x.mean(-1)).sum(-1) / 4.0 + 1e-5),
        X,
    ),
    "eps beside the deviation": (
        lambda x: (x - x.mean(-1)) / ((variance(x, -1)).unary(SqrtOp) + 1e-5),
        X,
    ),
    "eps of two parts": (
        lambda x, e: (x - x.mean(-1)) * rsqrt(variance(x, -1) + e),
        [*X, ()],
    ),
    "variance of another": (
        lambda x, z: (x - x.mean(-1)) * rsqrt(variance(z, -1) + 1e-5),
        [*X, *X],
    ),
    "mean of another": (
        lambda x, z: (x - z.mean(-1)) * rsqrt(variance(x, -1) + 1e-5),
        [*X, *X],
    ),
    "a mean without a gradient": (
        lambda x: (x - stopped(x.mean(-1))) * rsqrt(variance(x, -1) + 1e-5),
        X,
    ),
    "not centred": (lambda x: x * rsqrt(variance(x, -1) + 1e-5), X),
    "rms over the first dim": (lambda x: x * rsqrt(square(x).mean(0) + 1e-5), X),
    "rms of another": (lambda x, z: x * rsqrt(square(z).mean(-1) + 1e-5), [*X, *X]),
    "rms of a fourth power": (lambda x: x * rsqrt((x**4.0).mean(-1) + 1e-5), X),
    "rms, eps outside": (lambda x: x / (square(x).mean(-1).unary(SqrtOp) + 1e-5), X),
    "rms of a sum": (lambda x: x * rsqrt(square(x).sum(-1) + 1e-5), X),
    "statistics that are computed": (
        lambda x, m, v: (x - exp(m)) * rsqrt(exp(v) + 1e-5),
        [(3, 4, 5), (5,), (5,)],
    ),
    "folded with another mean": (
        lambda x, g, b: (
            x * (rsqrt(variance(x, -1) + 1e-3) * g)
            + (b - x.mean(1).reshape((4, 1, 4)) * (rsqrt(variance(x, -1) + 1e-3) * g))
        ),
        [(4, 4, 4), (4,), (4,)],
    ),
}


NORM_NAMES = {"layer_norm", "rms_norm", "batch_norm", "batch_norm_inference"}


@pytest.mark.parametrize("name", NOT_A_NORM)
def test_no_norm(name: str) -> None:
    form, arguments = NOT_A_NORM[name]
    graph = Graph(form, arguments)
    assert not NORM_NAMES & counts(graph.raised()).keys()
    given = [np.abs(a) if a.shape == () else a for a in graph.arrays("f64")]
    check_equal(graph, given)


def test_factors_that_are_no_parameters_of_the_norm_stay() -> None:
    graph = Graph(
        lambda x, s, t: normalized(x, -1) * (1.0 + s) + t, [(3, 4, 5), (3, 1, 5), (3, 1, 5)]
    )
    names = counts(graph.raised())
    assert names["layer_norm"] == 1
    assert names["mul"] == 1
    check_equal(graph)


def test_a_norm_that_others_read_is_not_computed_twice() -> None:
    def form(x: T, g: T) -> list[T]:
        y = normalized(x, -1)
        return [y * g, y + x]

    graph = Graph(form, ROW[:2])
    names = counts(graph.raised())
    assert (names["layer_norm"], names["mul"], names["add"]) == (1, 1, 1)
    check_equal(graph)


def test_interior_values_that_others_read_stay() -> None:
    def form(x: T) -> list[T]:
        powers = exp(x - x.max(-1))
        return [powers / powers.sum(-1), powers]

    graph = Graph(form, X)
    names = counts(graph.raised())
    assert (names["softmax"], names["exp"]) == (1, 1)
    check_equal(graph)


def test_batch_norm_with_computed_factor_keeps_statistics_sound() -> None:
    """gamma is computed behind the running statistics: the op cannot move before these."""

    def form(x: T, g: T, b: T) -> list[T]:
        mean = x.mean(0, 1)
        running = mean * 0.1
        y = keras_norm(x, exp(g) + running.sum(2), b, 0, 1)
        return [y, running]

    check_equal(Graph(form, ROW))
