"""Whole training runs against TensorFlow: loss, every gradient, every updated tensor, 3 steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from imported_runs import assert_close, function_named, gradients_of, op_counts, run_imported
from tf_models import LABELS, MODELS, PICTURES, made

import pock
from pock.compiler import compile_job
from pock.frontends.tensorflow import import_tensorflow
from pock.frontends.tensorflow.importer import capture, stored_variables
from pock.frontends.tensorflow.loss import loss_function
from pock.frontends.tensorflow.model import model_of
from pock.frontends.tensorflow.verify import TensorFlowReference
from pock.reference import Setup
from pock_ir.location import unlocated
from pock_ir.passes.optimizer import SGD

COMPILED = ("raw_function", "module", "subclassed", "concrete")
"""Models that are compiled to C here; the others are compared in the interpreter only."""

EXACT = ("raw_function", "concrete")
"""Models without dropout, which can be called as they are."""


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mobilenet"])
def test_interpreter_agrees(name: str) -> None:
    model, inputs, targets, loss = made(name)
    _compare(model, inputs, targets, loss, 1e-5)


def test_mobilenet_in_double_precision() -> None:
    """Batch norm over few samples amplifies rounding too much for f32 to show anything."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model, inputs, targets, loss = made("mobilenet")
        _compare(model, tuple(x.astype(np.float64) for x in inputs), targets, loss, 1e-8)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def _compare(model: Any, inputs: Any, targets: Any, loss: Any, tolerance: float) -> None:
    """Loss, updates and gradients in the interpreter beside TensorFlow's."""
    imported = import_tensorflow(model, inputs, targets, loss)
    assert not unlocated(imported.module)
    reference = TensorFlowReference(model, inputs, targets, loss)
    training = reference.training(Setup(SGD(0.0), _all(imported), {}, 7), False, {})
    exact = training.backward(reference.batch())
    names = (*imported.inputs, *imported.targets)
    given = dict(zip(names, reference.batch(), strict=True))
    results = run_imported(imported, "train", given)
    assert_close(results["loss", "loss"], exact, tolerance)
    for (kind, key), value in results.items():
        if kind == "update":
            assert_close(value, training.updated()[key], tolerance)
    found = gradients_of(imported, given)
    for key, value in training.gradients().items():
        assert_close(found[key], value, tolerance)


def _all(imported: Any) -> dict[str, None]:
    """Everything that has a gradient, as a scheme that trains all."""
    from pock_ir.interpret import find_function
    from pock_ir.passes.signature import argument_attributes, kind_of, name_of

    entries = argument_attributes(find_function(imported.module, "train"))
    named = (name_of(entry) for entry in entries if kind_of(entry) == "parameter")
    return {name: None for name in named if name not in imported.frozen}


@pytest.mark.parametrize("name", EXACT)
def test_reference_is_the_model(name: str) -> None:
    """What programs are compared with agrees with the model itself under a gradient tape."""
    model, inputs, targets, loss = made(name)
    captured = capture(model, inputs, targets, loss)
    reference = TensorFlowReference(model, inputs, targets, loss)
    parts = {v.name: None for v in stored_variables(captured)}
    training = reference.training(Setup(SGD(0.0), parts, {}, 0), False, {})
    found = training.backward(reference.batch())
    with tf.GradientTape() as tape:
        outputs = model_of(model).call(tuple(map(tf.constant, inputs)), True)
        value = loss_function(loss)(outputs, tf.constant(targets))
    assert_close(found, value, 1e-6)
    named = {v.name: v.value for v in stored_variables(captured)}
    for key, gradient in tape.gradient(value, named).items():
        assert_close(training.gradients()[key], gradient, 1e-5)


@pytest.mark.parametrize("name", COMPILED)
def test_program_agrees_for_three_steps(name: str) -> None:
    model, inputs, targets, loss = made(name)
    optimizer = keras.optimizers.AdamW(1e-3)
    job = pock.Job(model, inputs, targets, loss, optimizer, name=name)
    found = compile_job(job).verify(3)
    assert found.passed
    kinds = {row.kind for row in found.rows}
    assert kinds == {"loss", "gradient", "updated"}


def test_inference_is_the_model() -> None:
    model, inputs, targets, loss = made("subclassed")
    imported = import_tensorflow(model, inputs, targets, loss)
    results = run_imported(imported, "eval", {"x": inputs[0], "target": targets})
    outputs = model(inputs[0], training=False)
    assert_close(results["output", "output"], outputs, 1e-5)
    value = loss(targets, outputs) + sum(model.losses)
    assert_close(results["loss", "loss"], value, 1e-5)


def test_normalisation_is_recognised() -> None:
    model, inputs, targets, loss = made("mobilenet")
    imported = import_tensorflow(model, inputs, targets, loss)
    counts = op_counts(function_named(imported, "train"))
    assert counts["nn.batch_norm"] == 52 and counts["nn.conv2d"] == 52
    assert "nn.transpose" not in counts and "nn.rsqrt" not in counts
    assert op_counts(function_named(imported, "infer"))["nn.batch_norm_inference"] == 52
    model, inputs, targets, loss = made("transformer")
    counts = op_counts(function_named(import_tensorflow(model, inputs, targets, loss), "train"))
    assert counts["nn.layer_norm"] == 2 and counts["nn.dropout"] == 2


def test_names_kinds_and_states() -> None:
    model, inputs, targets, loss = made("subclassed")
    imported = import_tensorflow(model, inputs, targets, loss)
    assert imported.inputs == ("x",) and imported.targets == ("target",)
    assert set(imported.frozen) == {
        v.path for v in model.frozen.variables if v.path.endswith(("gamma", "beta"))
    }
    assert set(imported.weights) == {
        v.path for v in model.variables if "seed_generator" not in v.path
    }
    updates = {name for kind, name in _results(imported) if kind == "update"}
    assert updates == {v.path for v in model.norm.non_trainable_variables}
    module_names = set(import_tensorflow(*made("module")).weights)
    assert {"layers/0", "layers/1", "mean", "steps"} <= module_names


def _results(imported: Any) -> list[tuple[str, str]]:
    from pock_ir.interpret import find_function
    from pock_ir.passes.signature import kind_of, name_of, result_attributes

    entries = result_attributes(find_function(imported.module, "train"))
    return [(kind_of(entry), name_of(entry)) for entry in entries]


def test_structured_inputs_and_keywords() -> None:
    w = tf.Variable(np.ones((3, 4), np.float32), name="w")

    def network(batch: Any, scale: Any) -> Any:
        return tf.matmul(batch["x"] * scale, w) + batch["y"][0]

    inputs = ({"x": PICTURES[:, 0, 0], "y": (np.ones((4, 4), np.float32),)}, np.float32(2.0))
    imported = import_tensorflow(network, inputs, LABELS, "cross_entropy")
    assert imported.inputs == ("batch.x", "batch.y.0", "scale")
    named = {"batch": inputs[0], "scale": inputs[1]}
    assert import_tensorflow(network, named, LABELS, "cross_entropy").inputs == imported.inputs
