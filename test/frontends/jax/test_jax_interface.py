"""How models are given: functions, modules of each library, modes, names, other frontends."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from imported_runs import run_imported

import pock
import pock.jax
from pock.frontends import frontend_of, import_model
from pock.frontends.imported import Imported
from pock_ir.diagnostics import PockError
from pock_ir.interpret import find_function

X = jnp.linspace(-1.0, 1.0, 12).reshape(3, 4)
LABELS = jnp.array([0, 1, 1], jnp.int32)
PARAMS = {"w": jnp.linspace(-0.5, 0.5, 8).reshape(4, 2), "b": jnp.zeros(2)}


def imported(model: Any, inputs: Any = (X,), targets: Any = LABELS, loss: Any = None) -> Imported:
    chosen = "cross_entropy" if loss is None else loss
    return import_model(pock.Job(model, inputs, targets, loss=chosen))


def ops_of(module: Imported, function: str) -> list[str]:
    return [op.name for op in find_function(module.module, function).body.block.ops]


def linear(params: Any, x: Any) -> Any:
    return x @ params["w"] + params["b"]


def test_frontend_is_found() -> None:
    for model in (
        pock.jax.Model(linear, PARAMS),
        nnx.Linear(4, 2, rngs=nnx.Rngs(0)),
        eqx.nn.Linear(4, 2, key=jax.random.key(0)),
        nn.Dense(2),
    ):
        assert frontend_of(model) == "jax"
    with pytest.raises(PockError, match="unknown frontend"):
        frontend_of(nn.Dense(2), "caffe")


def test_a_function_needs_its_parameters() -> None:
    with pytest.raises(PockError, match=r"pock\.jax\.Model\(function, params\)"):
        imported(linear)


def test_state_and_modes() -> None:
    """A running mean by hand: state is returned in training, and read in inference."""

    def apply(params: Any, state: Any, x: Any, *, train: bool) -> Any:
        mean = x.mean(0) if train else state["mean"]
        new = {"mean": 0.9 * state["mean"] + 0.1 * mean, "steps": state["steps"] + 1}
        return linear(params, x - mean), new if train else state

    state = {"mean": jnp.ones(4), "steps": jnp.zeros((), jnp.int32)}
    modes = {"training": {"train": True}, "inference": {"train": False}}
    module = imported(pock.jax.Model(apply, PARAMS, state, **modes))
    found = run_imported(module, "train", {"x": np.asarray(X), "target": np.asarray(LABELS)})
    np.testing.assert_allclose(found["update", "mean"], 0.9 + 0.1 * X.mean(0), rtol=1e-6)
    assert found["update", "steps"] == 1
    outputs = run_imported(module, "infer", {"x": np.asarray(X)})["output", "output"]
    np.testing.assert_allclose(outputs, linear(PARAMS, X - 1.0), rtol=1e-5, atol=1e-6)


def test_state_that_training_only_writes() -> None:
    """It is an argument all the same, whose memory the update goes to."""

    def apply(params: Any, state: Any, x: Any, *, train: bool) -> Any:
        return linear(params, x - (0.0 if train else state["last"])), {"last": x.mean(0)}

    model = pock.jax.Model(apply, PARAMS, {"last": jnp.ones(4)}, {"train": True}, {"train": False})
    program = pock.compile(model, (X,), LABELS, optimizer=pock.SGD(0.1), name="net")
    found = program.verify(2)
    assert found.passed and ("updated", "last") in [(row.kind, row.name) for row in found.rows]


def test_keywords_and_nested_inputs() -> None:
    def apply(params: Any, *, batch: Any, scale: Any) -> Any:
        return {"logits": linear(params, batch["x"]) * scale, "other": batch["x"]}

    inputs = {"scale": jnp.ones(()), "batch": {"x": X}}
    module = imported(pock.jax.Model(apply, PARAMS), inputs)
    assert module.inputs == ("batch/x", "scale")
    assert module.outputs == ("logits", "other")


def test_a_model_that_returns_its_loss() -> None:
    def loss(params: Any, x: Any, labels: Any) -> Any:
        rows = optax.softmax_cross_entropy_with_integer_labels(linear(params, x), labels)
        return rows.mean()

    module = imported(pock.jax.Model(loss, PARAMS), (X, LABELS), None, "output")
    assert module.targets == ()
    given = {"x": np.asarray(X), "labels": np.asarray(LABELS)}
    found = run_imported(module, "train", given)["loss", "loss"]
    np.testing.assert_allclose(found, loss(PARAMS, X, LABELS), rtol=1e-6)
    assert "nn.log_softmax" in ops_of(module, "train")


def test_equinox_directly() -> None:
    class Net(eqx.Module):
        layer: eqx.nn.Linear

        def __call__(self, x: Any) -> Any:
            return jax.vmap(self.layer)(x)

    net = Net(eqx.nn.Linear(4, 2, key=jax.random.key(0)))
    module = imported(net)
    assert set(module.weights) == {"layer/weight", "layer/bias"}
    found = run_imported(module, "infer", {"x": np.asarray(X)})["output", "output"]
    np.testing.assert_allclose(found, net(X), rtol=1e-5, atol=1e-6)


def test_modes_of_linen_are_found() -> None:
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any, deterministic: bool = True) -> Any:
            return nn.Dense(2)(nn.Dropout(0.5)(x, deterministic=deterministic))

    model = pock.jax.linen(Net(), Net().init(jax.random.key(0), X))
    module = imported(model)
    assert ops_of(module, "train").count("nn.dropout") == 1
    assert ops_of(module, "infer").count("nn.dropout") == 0


def test_nnx_is_not_changed_and_keeps_its_mode() -> None:
    class Net(nnx.Module):
        def __init__(self) -> None:
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
            self.layer = nnx.Linear(4, 2, rngs=nnx.Rngs(1))

        def __call__(self, x: Any) -> Any:
            return self.layer(self.dropout(x))

    net = Net()
    assert "nn.dropout" in ops_of(imported(net), "train")
    assert not net.dropout.deterministic
    net.eval()
    assert "nn.dropout" not in ops_of(imported(net), "train")


def test_a_key_that_is_constant_gives_constants() -> None:
    """JAX draws the same numbers in every step, so they are data."""

    def apply(params: Any, x: Any) -> Any:
        return linear(params, x * jax.random.bernoulli(jax.random.key(3), 0.5, x.shape))

    module = imported(pock.jax.Model(apply, PARAMS))
    found = run_imported(module, "infer", {"x": np.asarray(X)})["output", "output"]
    np.testing.assert_allclose(found, apply(PARAMS, X), rtol=1e-5, atol=1e-6)


def test_each_sample_has_a_mask_of_its_own() -> None:
    """Keys that are mapped over draw one mask with one more axis."""

    def apply(params: Any, x: Any, rng: Any = None) -> Any:
        if rng is not None:
            keys = jax.random.split(rng, x.shape[0])
            masks = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, x.shape[1:]))(keys)
            x = jnp.where(masks, x / 0.5, 0.0)
        return linear(params, x)

    module = imported(pock.jax.Model(apply, PARAMS, key="rng"))
    assert ops_of(module, "train").count("nn.dropout") == 1


def test_marks_need_their_body() -> None:
    """A function that is mapped over is no longer what its name says, and is still right."""

    def apply(params: Any, x: Any) -> Any:
        columns = jax.vmap(jax.nn.softmax, in_axes=1, out_axes=1)(x)
        return linear(params, columns)

    module = imported(pock.jax.Model(apply, PARAMS), loss="cross_entropy")
    found = run_imported(module, "infer", {"x": np.asarray(X)})["output", "output"]
    np.testing.assert_allclose(found, apply(PARAMS, X), rtol=1e-5, atol=1e-6)


def test_optax_in_a_job() -> None:
    program = pock.compile(
        pock.jax.Model(linear, PARAMS), (X,), LABELS, optimizer=optax.adam(1e-2), target="c"
    )
    assert program.verify(2).passed


def test_pock_does_not_import_jax() -> None:
    code = "import sys, pock, pock.compiler; assert not {'jax', 'flax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_jax(tmp_path: Any) -> None:
    """A clear message instead of a traceback."""
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "from pock.frontends import import_model, PockError\n"
        "from types import SimpleNamespace as N\n"
        "job = N(model=1, example_inputs=(), example_targets=None, loss='mse', name='n', "
        "frontend='jax')\n"
        "try:\n    import_model(job)\nexcept PockError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs jax, which is not installed" in run.stdout
    assert "pock[jax]" in run.stdout
