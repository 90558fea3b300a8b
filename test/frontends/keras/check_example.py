"""Example inputs and targets that are made from a model, or read from arrays."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses

import pock
import pock.keras
from pock.frontends import import_model
from pock_ir.diagnostics import PockError


def digits(loss: Any = None) -> Any:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3)], name="digits")
    if loss is not None:
        model.compile("sgd", loss)
    return model


def shapes(tree: Any) -> Any:
    return keras.tree.map_structure(lambda a: a if a is None else (a.shape, a.dtype.name), tree)


LABELS, SHARES = ((4,), "int32"), ((4, 3), "float32")
LOSSES = {
    "sparse_categorical_crossentropy": LABELS,
    "CategoricalGeneralizedCrossEntropy": LABELS,
    "categorical_crossentropy": SHARES,
    "binary_crossentropy": SHARES,
    "mse": SHARES,
    "kl_divergence": SHARES,
}


@pytest.mark.parametrize("name", LOSSES)
def test_targets_follow_the_loss(name: str) -> None:
    model = digits(getattr(losses, name)() if name[0].isupper() else name)
    inputs, targets = pock.keras.example(model, 4)
    assert shapes(inputs) == (((4, 8), "float32"),) and shapes(targets) == LOSSES[name]
    assert targets.min() >= 0 and targets.max() <= 2
    imported = import_model(pock.Job(model, inputs, targets))
    assert (imported.inputs, imported.targets) == (("inputs",), ("target",))


def test_every_loss_of_keras_is_known_or_refused() -> None:
    from pock.frontends.keras.model_spec import CLASSES, SHARES

    known = {getattr(loss, "fn", loss).__name__ for loss in made_losses()}
    assert known - {*CLASSES, *SHARES} == {"ctc"}
    with pytest.raises(PockError, match="the loss 'ctc' does not say what its targets are"):
        pock.keras.example(digits(losses.CTC()))


def made_losses() -> list[Any]:
    kinds = [kind for kind in vars(losses).values() if isinstance(kind, type)]
    return [kind() for kind in kinds if kind is not losses.Loss]


def test_given_losses_and_the_batch() -> None:
    model = digits()
    inputs, targets = pock.keras.example(model, loss="cross_entropy")
    assert shapes((inputs, targets)) == ((((32, 8), "float32"),), ((32,), "int32"))
    assert shapes(pock.keras.example(model, 2, loss="mse")[1]) == ((2, 3), "float32")
    fixed = keras.Sequential([keras.Input((4,), batch_size=8), layers.Dense(1)])
    assert shapes(pock.keras.example(fixed, loss="mse")[1]) == ((8, 1), "float32")
    with pytest.raises(PockError, match="takes batches of 8 only, not of 3"):
        pock.keras.example(fixed, 3, loss="mse")


def test_the_same_every_time() -> None:
    first, second = (pock.keras.example(digits("mse"), 4) for _ in range(2))
    np.testing.assert_array_equal(first[0][0], second[0][0])
    np.testing.assert_array_equal(first[1], second[1])


def several(length: int | None = 6) -> Any:
    """Inputs as a list, outputs as a dict; words of two vocabularies."""
    numbers = keras.Input((4,), name="numbers")
    words = keras.Input((length,), name="words", dtype="int64")
    y = layers.Embedding(5, 3)(words)
    z = layers.Embedding(9, 3)(words)
    outputs = {"first": layers.Dense(2)(numbers), "second": layers.Dense(7)(y + z)}
    return keras.Model([numbers, words], outputs)


def test_several_inputs_and_outputs() -> None:
    model = several()
    model.compile("sgd", {"first": "mse", "second": "sparse_categorical_crossentropy"})
    inputs, targets = pock.keras.example(model, 2)
    assert shapes(inputs) == ([((2, 4), "float32"), ((2, 6), "int32")],)
    assert shapes(targets) == {"first": ((2, 2), "float32"), "second": ((2, 6), "int32")}
    assert inputs[0][1].max() < 5 and targets["second"].max() < 7
    imported = import_model(pock.Job(model, inputs, targets))
    assert imported.inputs == ("inputs/0", "inputs/1")
    assert imported.targets == ("first", "second")


def test_an_output_without_a_loss_has_no_target() -> None:
    model = several()
    model.compile("sgd", {"first": "mse"})
    inputs, targets = pock.keras.example(model, 2)
    assert targets["second"] is None
    assert import_model(pock.Job(model, inputs, targets)).targets == ("first",)


def test_unknown_dimensions_come_from_data() -> None:
    model = several(None)
    model.compile("sgd", {"first": "mse"})
    with pytest.raises(PockError, match=r"'inputs/1': dimension 1 of its shape \(None, None\)"):
        pock.keras.example(model)
    data = {
        "inputs/0": np.ones((3, 4), np.float32),
        "inputs/1": np.ones((3, 7), np.int64),
        "first": np.ones((3, 2), np.float32),
    }
    inputs, _ = pock.keras.example(model, 2, data)
    assert shapes(inputs) == ([((2, 4), "float32"), ((2, 7), "int32")],)


GOOD = {"inputs": np.ones((5, 8), np.float32), "target": np.ones(5, np.int64)}
BAD: dict[str, dict[str, Any]] = {
    "the array 'target' is missing": {"target": None},
    r"'inputs' should be float32 of shape \(rows, 8\), not float64": {"inputs": np.ones((5, 8))},
    r"not float32 of shape \(5, 7\)": {"inputs": np.ones((5, 7), np.float32)},
    r"'target' should be class indices \(int32\)": {"target": np.ones(5, np.float32)},
    "differ in their number of rows": {"target": np.ones(4, np.int64)},
}


@pytest.mark.parametrize("message", BAD)
def test_arrays_that_do_not_fit(message: str) -> None:
    data = {name: array for name, array in {**GOOD, **BAD[message]}.items() if array is not None}
    model = digits(losses.SparseCategoricalCrossentropy(from_logits=True))
    assert shapes(pock.keras.example(model, 5, GOOD)[1]) == ((5,), "int32")
    with pytest.raises(PockError, match=message):
        pock.keras.example(model, 2, data)


def test_too_few_rows() -> None:
    model = digits(losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(PockError, match="5 rows do not fill a batch of 32"):
        pock.keras.example(model, data=GOOD)


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_models_that_do_not_say_enough() -> None:
    model = Subclassed()
    model(np.ones((2, 8), np.float32))
    with pytest.raises(PockError, match="does not say what its inputs are"):
        pock.keras.example(model, loss="mse")
    with pytest.raises(PockError, match="is not compiled"):
        pock.keras.example(digits())
    words = keras.Sequential([keras.Input((1,), dtype="string"), layers.Identity()])
    with pytest.raises(PockError, match="inputs of type string are not supported"):
        pock.keras.example(words, loss="mse")
