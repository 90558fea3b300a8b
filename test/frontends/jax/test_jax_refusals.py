"""What cannot be imported is refused at once, with the user's line and exact words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pock.frontends.jax.importer import import_jax
from pock.frontends.jax.model import Model
from pock_ir.diagnostics import PockError

X = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4)
LABELS = jnp.array([0, 1, 3])
PARAMS = {"w": jnp.eye(4)}


def refusal(function: Callable[..., Any], loss: Any = "cross_entropy", **fields: Any) -> str:
    model = Model(function, PARAMS, **fields)
    with pytest.raises(PockError) as caught:
        import_jax(model, (X,), LABELS, loss)
    return re.sub(r"test_jax_refusals.py:\d+:\d+", "HERE", str(caught.value))


def test_everything_unsupported_is_reported_at_once() -> None:
    def function(params: Any, x: Any) -> Any:
        y = jax.lax.digamma(x @ params["w"]).sum()
        z = jax.lax.lgamma(x @ params["w"])
        return z + y

    assert refusal(function) == (
        "HERE: error: digamma is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operations, or compute it outside of the model\n"
        "HERE: error: lgamma is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operations, or compute it outside of the model"
    )


def test_what_reads_something_unsupported_is_examined_too() -> None:
    def function(params: Any, x: Any) -> Any:
        y = jnp.fft.fft(x @ params["w"])
        return jnp.abs(y) + jax.lax.digamma(x @ params["w"])

    found = re.findall("HERE: error: (.*) is not supported", refusal(function))
    assert found == ["convert_element_type: element type complex64", "fft", "digamma"]


def test_an_output_without_elements() -> None:
    text = refusal(lambda p, x: {"logits": x @ p["w"], "none": (x @ p["w"])[:0]})
    assert "a tensor of shape [0, 4] has no elements" in text


def test_what_has_no_line_is_placed_by_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(params: Any, x: Any) -> Any:
        with jax.named_scope("second"):
            return jax.lax.digamma(x @ params["w"])

    monkeypatch.setattr("pock.frontends.jax.graph.equation_frame", lambda source: None)
    assert refusal(function).startswith("second: error: digamma is not supported")


def test_the_line_is_that_of_the_call() -> None:
    def function(params: Any, x: Any) -> Any:
        y = x @ params["w"]
        return jnp.where(y > 0, jax.lax.lgamma(y), y)

    with pytest.raises(PockError) as caught:
        import_jax(Model(function, PARAMS), (X,), LABELS, "cross_entropy")
    start = inspect.getsourcelines(function)[1]
    place = caught.value.diagnostics[0].location
    assert place is not None and place.startswith(f"test_jax_refusals.py:{start + 2}:")


def test_a_stop_elsewhere_changes_nothing() -> None:
    model = Model(lambda p, x: jax.lax.stop_gradient(jnp.abs(x)) @ p["w"], PARAMS)
    import_jax(model, (X,), LABELS, "cross_entropy")


def test_random_numbers_but_dropout() -> None:
    text = refusal(lambda p, x, rng=None: x @ p["w"] + _noise(rng, x), key="rng")
    assert text.startswith(
        "HERE: error: normal: random numbers other than dropout's are not supported"
    )
    assert text.count("error: ") == 1


def _noise(key: Any, x: Any) -> Any:
    return 0.0 if key is None else jax.random.normal(key, x.shape)


@jax.custom_jvp
def own_rule(x: Any) -> Any:
    return jnp.sin(x)


@own_rule.defjvp
def _(primals: Any, tangents: Any) -> Any:
    return own_rule(primals[0]), 2.0 * tangents[0]


def test_a_gradient_of_its_own() -> None:
    assert "own_rule defines its own gradient" in refusal(lambda p, x: own_rule(x @ p["w"]))
    model = Model(lambda p, x: own_rule(x) @ p["w"], PARAMS)
    import_jax(model, (X,), LABELS, "cross_entropy")


def test_control_flow_that_depends_on_data() -> None:
    def branch(params: Any, x: Any) -> Any:
        y = x @ params["w"]
        return jax.lax.cond(y.sum() > 0, lambda v: v, lambda v: -v, y)

    assert "a branch that depends on data is not supported" in refusal(branch)

    def loop(params: Any, x: Any) -> Any:
        y = x @ params["w"]
        return jax.lax.while_loop(lambda v: v.sum() < 9.0, lambda v: v + 1.0, y)

    assert "a loop whose length depends on data is not supported" in refusal(loop)


def test_a_loop_that_is_too_long() -> None:
    def loop(params: Any, x: Any) -> Any:
        return jax.lax.fori_loop(0, 5000, lambda _, v: jnp.tanh(v), x @ params["w"])

    assert "is too long to unroll" in refusal(loop)


def test_errors_of_the_model() -> None:
    def function(params: Any, x: Any) -> Any:
        return x @ params["w"] @ jnp.ones((3, 3))

    text = refusal(function)
    assert text.startswith("HERE: error: JAX cannot trace the model: ")


def test_losses() -> None:
    def model(params: Any, x: Any) -> Any:
        return x @ params["w"]

    assert "no loss is called 'hinge'" in refusal(model, "hinge")
    assert "the loss should be one float scalar, not float32[3, 4]" in refusal(
        model, lambda outputs, targets: outputs
    )
    assert "mean squared error of shapes [3, 4] and [3]" in refusal(model, "mse")


def test_linen_needs_variables() -> None:
    with pytest.raises(PockError, match=r"pock\.jax\.linen\(module, variables\)"):
        import_jax(nn.Dense(3), (X,), LABELS, "cross_entropy")


def test_element_types() -> None:
    model = Model(lambda p, x: x @ p["w"], {"w": jnp.eye(4), "n": np.zeros(2, np.uint8)})
    with pytest.raises(PockError, match="parameter 'n': element type uint8 is not supported"):
        import_jax(model, (X,), LABELS, "cross_entropy")
