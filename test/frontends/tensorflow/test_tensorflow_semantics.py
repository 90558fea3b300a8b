"""Where TensorFlow and Keras differ from other frameworks, in values and in the IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from imported_runs import assert_close, gradients_of, run_imported

import pock
from pock.frontends.imported import Imported
from pock.frontends.tensorflow import import_tensorflow
from pock_ir.diagnostics import PockError
from pock_ir.interpret import find_function
from pock_ir.op import flag, ints, number

ZERO = np.zeros((), np.float32)
PICTURE = np.sin(np.arange(2 * 6 * 6 * 3.0)).reshape(2, 6, 6, 3).astype(np.float32)


def gradient_at(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The gradient of the sum of function(x), checked with TensorFlow's own."""
    held = tf.Variable(x, name="x")

    def model(unused: Any) -> Any:
        return tf.reduce_sum(function(held)) + 0.0 * unused

    imported = import_tensorflow(model, (ZERO,), ZERO, "output")
    found = gradients_of(imported, {"unused": ZERO, "target": ZERO})["x"]
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(function(held))
    np.testing.assert_array_equal(found, tape.gradient(value, held))
    return found


KINKS: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "relu": (tf.nn.relu, [0.0], [0.0]),
    "relu6": (tf.nn.relu6, [0.0, 6.0], [0.0, 0.0]),
    "maximum": (lambda x: tf.maximum(x, 0.0), [0.0], [1.0]),
    "maximum_second": (lambda x: tf.maximum(0.0, x), [0.0], [0.0]),
    "clip": (lambda x: tf.clip_by_value(x, -1.0, 1.0), [-1.0, 1.0], [1.0, 1.0]),
    "abs": (tf.abs, [0.0], [0.0]),
    "reduce_max": (tf.reduce_max, [2.0, 1.0, 2.0], [0.5, 0.0, 0.5]),
    "leaky_relu": (lambda x: tf.nn.leaky_relu(x, 0.25), [0.0], [0.25]),
}


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks_and_ties(name: str) -> None:
    function, x, wanted = KINKS[name]
    found = gradient_at(function, np.array(x, np.float32))
    np.testing.assert_array_equal(found, np.array(wanted, np.float32))


def test_the_first_of_equal_elements_takes_a_pool() -> None:
    def pool(x: Any) -> Any:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    found = gradient_at(pool, np.ones((1, 2, 2, 1), np.float32))
    np.testing.assert_array_equal(found[0, :, :, 0], [[1.0, 0.0], [0.0, 0.0]])


def ops_of(imported: Imported, function: str = "infer") -> dict[str, Any]:
    return {op.name: op for op in find_function(imported.module, function).body.block.ops}


def test_same_padding_is_uneven_and_averages_leave_it_out() -> None:
    w = tf.Variable(np.ones((3, 3, 3, 2), np.float32), name="w")

    def model(x: Any) -> Any:
        return tf.nn.avg_pool2d(tf.nn.conv2d(x, w, 2, "SAME"), 2, 2, "SAME")

    imported = import_tensorflow(model, (PICTURE,), ZERO, lambda y, t: tf.reduce_sum(y) + t)
    ops = ops_of(imported)
    conv, pool = ops["nn.conv2d"], ops["nn.avg_pool2d"]
    assert (ints(conv.pad_low), ints(conv.pad_high)) == ((0, 0), (1, 1))
    assert conv.layout.data == "nhwc" and conv.weight_layout.data == "hwio"
    assert (ints(pool.pad_low), ints(pool.pad_high)) == ((0, 0), (1, 1))
    assert not flag(pool.count_include_pad)
    found = run_imported(imported, "infer", {"x": PICTURE})["output", "output"]
    assert_close(found, model(PICTURE), 2e-6)


def test_running_variance_of_keras_is_biased_and_of_the_fused_op_unbiased() -> None:
    layer = keras.layers.BatchNormalization(momentum=0.0)
    keras_model = keras.Sequential([keras.Input((6, 6, 3)), layer])
    mean, variance = (tf.Variable(tf.zeros(3), False, name=n) for n in ("mean", "variance"))

    def fused(x: Any) -> Any:
        ones, zeros = tf.ones(3), tf.zeros(3)
        y, new_mean, new_variance = tf.compat.v1.nn.fused_batch_norm(x, ones, zeros)
        mean.assign(new_mean)
        variance.assign(new_variance)
        return y

    biased = PICTURE.var((0, 1, 2))
    for model, factor, name in (
        (keras_model, 1.0, layer.moving_variance.path),
        (fused, 72 / 71, "variance"),
    ):
        imported = import_tensorflow(model, (PICTURE,), PICTURE, "mse")
        given = {imported.inputs[0]: PICTURE, "target": PICTURE}
        updates = run_imported(imported, "train", given)
        assert_close(updates["update", name], biased * factor, 1e-5)
    assert number(
        ops_of(import_tensorflow(keras_model, (PICTURE,), PICTURE, "mse"))[
            "nn.batch_norm_inference"
        ].eps
    ) == pytest.approx(1e-3)


def test_gelu_is_exact_but_for_keras_ops() -> None:
    for function, exact in ((tf.nn.gelu, tf.nn.gelu), (keras.ops.gelu, keras.ops.gelu)):

        def model(x: Any, f: Any = function) -> Any:
            return f(x)

        imported = import_tensorflow(model, (PICTURE,), PICTURE, "mse")
        found = run_imported(imported, "infer", {"x": PICTURE})["output", "output"]
        assert_close(found, exact(PICTURE), 2e-6)


def test_integers_divided_are_f64() -> None:
    counts = np.array([1, 2, -3], np.int32)

    def model(n: Any) -> Any:
        return n / 2

    imported = import_tensorflow(model, (counts,), np.zeros(3), "mse")
    found = run_imported(imported, "infer", {"n": counts})["output", "output"]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, counts / 2)


def test_indices_out_of_range_stop_the_program() -> None:
    table = tf.Variable(np.ones((7, 4), np.float32), name="table")
    head = tf.Variable(np.ones((4, 5), np.float32), name="head")

    def model(ids: Any) -> Any:
        return tf.nn.embedding_lookup(table, ids) @ head

    ids, labels = np.array([6, 0], np.int32), np.array([4, 0], np.int32)
    job = {"optimizer": pock.SGD(0.1), "frontend": "tensorflow"}
    program = pock.compile(model, (ids,), labels, **job)
    assert program.step(ids, labels) == pytest.approx(np.log(5), rel=1e-6)
    for bad_ids, bad_labels in ((ids + 1, labels), (ids, labels + 1), (ids, labels - 1)):
        with pytest.raises(PockError, match="out of range"):
            program.step(bad_ids, bad_labels)


def test_a_row_of_equal_lowest_scores_is_uniform() -> None:
    scores = np.full((1, 3), np.finfo(np.float32).min, np.float32)
    imported = import_tensorflow(tf.nn.softmax, (scores,), scores, "mse")
    name = imported.inputs[0]
    found = run_imported(imported, "infer", {name: scores})["output", "output"]
    assert_close(found, tf.nn.softmax(scores), 1e-6)
