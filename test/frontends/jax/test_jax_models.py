"""Whole training runs against JAX: loss, every gradient, every updated tensor, 3 steps."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from imported_runs import gradients_of, run_imported
from jax_models import MODELS, job

from pock.frontends import import_model, reference_for
from pock.frontends.jax.model import model_of
from pock.reference import Setup
from pock.verify import verify_program
from pock_ir.interpret import find_function
from pock_ir.passes.optimizer import SGD


@pytest.mark.parametrize("name", MODELS)
def test_interpreter_agrees(name: str) -> None:
    """Loss, state and gradients of one step, and the outputs of inference."""
    made = job(name, seed=7)
    imported = import_model(made)
    reference = reference_for(made)
    batch = reference.batch()
    given = dict(zip((*imported.inputs, *imported.targets), batch, strict=True))
    trained = run_imported(imported, "train", given)
    parts = {name: None for name in gradients_of(imported, given)}
    exact = reference.training(Setup(SGD(0.0), parts, {}, 7), True, {})
    assert_close(trained["loss", "loss"], exact.backward(batch))
    for name, value in gradients_of(imported, given).items():
        assert_close(value, exact.gradients()[name], 1e-4)
    updated = exact.updated()
    for (kind, name), value in trained.items():
        if kind == "update":
            assert_close(value, updated[name])
    model = model_of(made.model)
    outputs, _ = model.call(model.params, model.state, made.example_inputs, False)
    assert_close(run_imported(imported, "infer", given)["output", "output"], outputs)


def assert_close(value: object, reference: object, tolerance: float = 1e-5) -> None:
    exact = np.asarray(reference, np.float64)
    scale = max(1.0, float(np.max(np.abs(exact), initial=0.0)))
    np.testing.assert_allclose(value, exact, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", MODELS)
def test_compiled_agrees(name: str) -> None:
    found = verify_program(job(name), 3)
    assert found.passed, "\n".join(str(row)[:200] for row in found.differing()[:10])
    parameters = {row.name for row in found.rows if row.kind == "gradient"}
    assert len(parameters) == len(jax.tree_util.tree_leaves(model_of(job(name).model).params))


def test_names_are_paths() -> None:
    imported = import_model(job("linen-cnn"))
    assert "Conv_0/kernel" in imported.weights
    assert "batch_stats/BatchNorm_0/mean" in imported.weights
    assert imported.inputs == ("x",)
    assert imported.targets == ("target",)
    assert "blocks/0/attention/query/kernel" in import_model(job("nnx-transformer")).weights
    assert "layers/0/weight" in import_model(job("equinox")).weights


WHOLE = {
    "linen-cnn": {"nn.batch_norm": 2, "nn.silu": 1, "nn.dropout": 1, "nn.cross_entropy": 1},
    "linen-transformer": {"nn.layer_norm": 5, "nn.softmax": 2, "nn.gelu": 2, "nn.cross_entropy": 1},
    "nnx-transformer": {"nn.layer_norm": 4, "nn.attention": 2, "nn.gelu": 2, "nn.batch_norm": 1},
}


@pytest.mark.parametrize("name", WHOLE)
def test_layers_stay_whole(name: str) -> None:
    function = find_function(import_model(job(name)).module, "train")
    names = [op.name for op in function.body.block.ops]
    assert {op: names.count(op) for op in WHOLE[name]} == WHOLE[name]


def test_attention_stays_whole_in_inference() -> None:
    function = find_function(import_model(job("linen-transformer")).module, "infer")
    names = [op.name for op in function.body.block.ops]
    assert names.count("nn.attention") == 2
    assert "nn.softmax" not in names


def test_convolutions_keep_their_layout() -> None:
    """NHWC pictures and HWIO weights come in without transposes."""
    module = import_model(job("linen-cnn")).module
    assert not [op for op in module.walk() if op.name == "nn.transpose"]
