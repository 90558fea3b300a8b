"""What cannot be imported is refused: everything at once, each with the line of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pock.frontends.tensorflow import import_tensorflow
from pock_ir.diagnostics import PockError

X = np.ones((3, 4), np.float32)
W = tf.Variable(np.ones((4, 4), np.float32), name="w")


def refusal(model: Any, loss: Any = "mse", targets: Any = X, inputs: Any = (X,)) -> PockError:
    with pytest.raises(PockError) as caught:
        import_tensorflow(model, inputs, targets, loss)
    return caught.value


def test_everything_at_once_with_lines() -> None:
    def network(x: Any) -> Any:
        x = tf.math.lgamma(tf.matmul(x, W))
        return tf.math.bessel_i0(x) + tf.random.normal((3, 4))

    error = refusal(network)
    first = network.__code__.co_firstlineno
    places = [(d.location, d.message.split()[0].rstrip(":")) for d in error.diagnostics]
    file = "test_tensorflow_refusals.py"
    assert places == [
        (f"{file}:{first + 1}:0", "Lgamma"),
        (f"{file}:{first + 2}:0", "BesselI0"),
        (f"{file}:{first + 2}:0", "RandomStandardNormal"),
    ]
    assert all(d.help for d in error.diagnostics)


@tf.custom_gradient
def doubled(x: Any) -> Any:
    return x * 2.0, lambda dy: dy * 3.0


def assigned(x: Any) -> Any:
    W.assign(W * 0.9)
    return tf.matmul(x, W)


def assigned_rows(x: Any) -> Any:
    W.scatter_nd_update([[1]], [[0.0, 0.0, 0.0, 0.0]])
    return tf.matmul(x, W)


CASES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "custom_gradient": (lambda x: doubled(tf.matmul(x, W)), "its own gradient"),
    "branch": (
        lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, W), lambda: x),
        "branch depends on data",
    ),
    "loop": (
        lambda x: tf.while_loop(
            lambda y: tf.reduce_sum(y) < 100.0, lambda y: (tf.matmul(y, W) + 1.0,), (x,)
        )[0],
        "number of steps depends on data",
    ),
    "random": (lambda x: tf.matmul(x, W) * tf.random.uniform((3, 4)), "random numbers"),
    "assigned": (assigned, "both trained and assigned"),
    "assigned_rows": (assigned_rows, "ResourceScatterNdUpdate is not supported"),
    "complex": (
        lambda x: tf.abs(tf.signal.fft(tf.cast(tf.matmul(x, W), tf.complex64))),
        "complex64",
    ),
    "python_error": (lambda x: tf.matmul(x, W[:3]), "cannot trace"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_reason(name: str) -> None:
    model, words = CASES[name]
    assert words in str(refusal(model))


def test_harmless_stops_pass() -> None:
    def network(x: Any) -> Any:
        scores = tf.matmul(x, W)
        mask = tf.stop_gradient(tf.cast(x > 0, tf.float32))
        return tf.reduce_logsumexp(scores, 1, keepdims=True) * mask + tf.nn.silu(scores)

    assert import_tensorflow(network, (X,), X, "mse").outputs == ("output",)


def test_losses() -> None:
    def model(x: Any) -> Any:
        return tf.matmul(x, W)

    assert "one float scalar" in str(refusal(model, lambda outputs, targets: outputs))
    assert "no loss is called" in str(refusal(model, "huber"))
    assert "class indices" in str(refusal(model, "cross_entropy"))
    assert "mean squared error of shapes" in str(refusal(model, "mse", X[:, :2]))


def test_models() -> None:
    unbuilt = keras.Sequential([keras.layers.Dense(4)])
    assert "not built" in str(refusal(unbuilt))
    assert "no __call__" in str(refusal(tf.Module()))
    assert "no TensorFlow model" in str(refusal(3))
    assert "tuple of arguments" in str(refusal(lambda x: x, inputs=X))
    mixed = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    mixed.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    assert "dtype policy" in str(refusal(mixed))


def test_variables_with_one_name() -> None:
    pair = [tf.Variable(np.ones((4, 4), np.float32), name="same") for _ in range(2)]
    assert "two variables" in str(refusal(lambda x: x @ pair[0] @ pair[1]))


def test_a_model_that_draws_without_a_mode_has_training_only() -> None:
    from pock_ir.interpret import find_function

    def model(x: Any) -> Any:
        return tf.nn.dropout(tf.matmul(x, W), 0.5)

    module = import_tensorflow(model, (X,), X, "mse").module
    names = [op.sym_name.data for op in module.ops]
    assert names == ["train"]
    assert "nn.dropout" in [op.name for op in find_function(module, "train").body.block.ops]
