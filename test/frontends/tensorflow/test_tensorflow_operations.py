"""Each operation against TensorFlow: values, and gradients where it has them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from imported_runs import assert_close, gradients_of, run_imported
from operation_cases import CASES, F32, GRADIENTS

from pock.frontends.tensorflow import import_tensorflow


def table(arguments: dict[str, Any]) -> dict[str, Any]:
    """All cases in one model: one trace instead of hundreds."""
    return {name: function(*arguments[name]) for name, (function, _) in CASES.items()}


@cache
def values() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arguments = {name: args for name, (_, args) in CASES.items()}

    def loss(outputs: Any, target: Any) -> Any:
        return tf.reduce_sum(outputs["relu"]) + target

    target = np.zeros((), np.float64)
    imported = import_tensorflow(table, (arguments,), target, loss)
    leaves = [array for args in arguments.values() for array in args]
    given = dict(zip(imported.inputs, leaves, strict=True))
    results = run_imported(imported, "infer", given)
    eager = table({n: tuple(map(tf.constant, args)) for n, args in arguments.items()})
    return {name: value for (_, name), value in results.items()}, eager


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    found, references = values()
    expected = references[name].numpy()
    assert found[name].dtype == expected.dtype
    assert_close(found[name], expected, 2e-6 if expected.dtype == np.float32 else 1e-12)


class Weighted(tf.Module):
    """Sums every differentiable case of variables of its own, weighted."""

    def __init__(self) -> None:
        super().__init__()
        self.held = {
            name: [
                tf.Variable(a, name=f"{name}.{i}") if a.dtype.kind == "f" else tf.constant(a)
                for i, a in enumerate(args)
            ]
            for name, (_, args) in GRADIENTS.items()
        }

    def __call__(self, weights: Any) -> Any:
        total = tf.reduce_sum(weights) * 0
        for name, (function, _) in GRADIENTS.items():
            y = tf.reshape(function(*map(tf.convert_to_tensor, self.held[name])), [-1])
            factors = tf.cast(tf.range(y.shape[0]) % 7 + 1, y.dtype) * 0.25
            total += tf.cast(tf.reduce_sum(y * factors), total.dtype)
        return total


@cache
def paths() -> dict[str, str]:
    """Case and number of each variable of `Weighted` -> its name in the program."""
    floats = [(n, i) for n, (_, args) in GRADIENTS.items() for i, a in enumerate(args)]
    return {f"{name}.{i}": f"held/{name}/{i}" for name, i in floats}


@cache
def gradients() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    model, weights = Weighted(), np.ones(2)
    imported = import_tensorflow(model, (weights,), np.zeros(()), "output")
    found = gradients_of(imported, {"weights": weights, "target": np.zeros(())})
    with tf.GradientTape() as tape:
        loss = model(tf.constant(weights))
    named = {
        f"{name}.{i}": v
        for name, args in model.held.items()
        for i, v in enumerate(args)
        if isinstance(v, tf.Variable)
    }
    exact = tape.gradient(loss, named, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return {n: found[paths()[n]] for n in named if paths()[n] in found}, exact


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    found, references = gradients()
    floats = [i for i, array in enumerate(GRADIENTS[name][1]) if array.dtype.kind == "f"]
    for index in floats:
        key = f"{name}.{index}"
        exact = tf.convert_to_tensor(references[key]).numpy()
        ours = found.get(key, np.zeros_like(exact))
        assert_close(ours, exact, 3e-6 if name in F32 else 1e-12)
