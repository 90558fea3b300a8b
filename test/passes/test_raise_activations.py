"""Decomposed activations become whole ops, also at kinks; what only looks like them stays."""

from math import inf, sqrt

import numpy as np
import pytest
from raising_activations import ACTIVATIONS, GELU, at_least, cdf, erf, gelu_new, relu6, tanh, unit
from raising_forms import X, exp, sigmoid
from raising_graphs import Graph, check_equal, counts

from pock_ir.dialects.elementwise import ClampOp
from pock_ir.interpret import run_function

KINKS = np.array([-inf, -6.0, -3.0, -1.0, -0.0, 0.0, 1.0, 2.0, 3.0, 4.5, 6.0, 9.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    form, expected = ACTIVATIONS[name]
    graph = Graph(form, X)
    names = counts(graph.raised())
    assert names.pop(expected) == 1
    assert not names.keys() - {"mul"}
    check_equal(graph)


BOUNDED = [name for name, row in ACTIVATIONS.items() if row[1] in ("relu", "clamp")]


HARD = [name for name, row in ACTIVATIONS.items() if row[1].startswith("hard")]


@pytest.mark.parametrize("name", [*BOUNDED, *HARD])
def test_activation_at_its_kinks(name: str) -> None:
    points = KINKS if name in BOUNDED else KINKS[1:]
    graph = Graph(ACTIVATIONS[name][0], [points.shape])
    check_equal(graph, [points])
    given = [np.array([np.nan] * len(points), np.float32)]
    assert np.isnan(run_function(graph.raised(), "f", given)[0]).all()


def test_kinds_of_gelu() -> None:
    for form, kind in ((cdf, "none"), (gelu_new, "tanh")):
        graph = Graph(lambda x, form=form: x * cdf(x) if form is cdf else form(x), X)
        (op,) = (op for op in graph.raised().walk() if op.name == "nn.gelu")
        assert op.properties["approximation"].data == kind


def test_constants_as_written_by_hand_are_those_of_f32() -> None:
    graph = Graph(lambda x: gelu_new(x, 0.79788456), X)
    assert counts(graph.raised("f32")) == {"gelu": 1}
    assert "gelu" not in counts(graph.raised("f64"))
    root = Graph(lambda x: x * cdf(x, float(np.float32(sqrt(2)))), X)
    assert counts(root.raised("f32")) == {"gelu": 1}


NOT_AN_ACTIVATION = {
    "gelu, cubic off": lambda x: gelu_new(x, cubic=0.0447),
    "gelu, scale off": lambda x: gelu_new(x, scale=0.798),
    "gelu, root off": lambda x: x * cdf(x, 1.4142),
    "gelu, another x": lambda x: x * cdf(x + x),
    "gelu, cube of another": lambda x: (
        0.5 * x * (1.0 + tanh(GELU * (x + 0.044715 * (x + x) ** 3.0)))
    ),
    "gelu by sigmoid": lambda x: x * sigmoid(1.702 * x),
    "gelu, not halved": lambda x: x * (1.0 + erf(x / sqrt(2.0))),
    "sigmoid, 2 + exp": lambda x: 1.0 / (2.0 + exp(-x)),
    "sigmoid, 2 / ...": lambda x: 2.0 / (1.0 + exp(-x)),
    "sigmoid of 2 x": lambda x: 1.0 / (1.0 + exp(-2.0 * x)),
    "swish of another": lambda x: x * sigmoid(x + x),
    "hard sigmoid, 0.2": lambda x: unit(0.2 * x + 0.5),
    "hard swish, other bound": lambda x: x * x.unary(ClampOp, min=0.0, max=5.0) / 6.0,
    "hard swish, no shift": lambda x: x * relu6(x) / 6.0,
    "maximum": lambda x: x.maximum(0.0).minimum(6.0),
    "hard swish by maximum": lambda x: x * (x + 3.0).maximum(0.0).minimum(6.0) / 6.0,
    "below, gradient at the bound": lambda x: at_least(x, 0.0, "lt"),
    "positive part, NaN gives 0": lambda x: x.compare("gt", 0.0).where(x, 0.0),
    "selection of another": lambda x: x.compare("le", 0.0).where(0.0, x + x),
    "selection of another bound": lambda x: x.compare("le", 0.0).where(1.0, x),
    "clamps apart": lambda x: relu6(x.unary(ClampOp, min=-2.0, max=-1.0)),
}


WHOLE = {"gelu", "silu", "hard_sigmoid", "hard_swish", "relu"}


@pytest.mark.parametrize("name", NOT_AN_ACTIVATION)
def test_no_activation(name: str) -> None:
    graph = Graph(NOT_AN_ACTIVATION[name], X)
    before, after = counts(graph.module()), counts(graph.raised())
    assert not WHOLE & after.keys()
    assert all(after.get(key, 0) == before.get(key, 0) for key in ("clamp", "sigmoid"))
    check_equal(graph)
    check_equal(Graph(graph.form, [KINKS[1:].shape]), [KINKS[1:]])
