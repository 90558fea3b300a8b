"""Names, frozen layers, compiled losses and optimizers, files, refusals, private names of Keras."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, optimizers
from keras_models import floats, integers, job, subclassed
from safetensors.numpy import load as read_weights

import pock
import pock.keras
from pock.frontends import frontend_of, import_model
from pock_ir.diagnostics import PockError
from pock_ir.interpret import find_function, run_function
from pock_ir.passes.signature import argument_attributes, name_of

X, LABELS = floats(4, 6), integers(3, 4)


def dense(activation: str | None = None, **options: Any) -> Any:
    keras.utils.set_random_seed(2)
    hidden = [layers.Dense(5, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    last = layers.Dense(3, activation=activation, **options)
    return keras.Sequential([keras.Input((6,)), *hidden, last])


def trained(model: Any, x: Any, y: Any, **changes: Any) -> tuple[list[float], dict[str, Any]]:
    """The losses of three steps, and the weights after them."""
    program = pock.compile(model, (x,), y, name="net", **changes)
    costs = [program.step(x, y) for _ in range(3)]
    return costs, read_weights(program.session.export())


ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
LOSSES: dict[str, tuple[str | None, Any, Any]] = {
    "sparse": (None, losses.SparseCategoricalCrossentropy(from_logits=True), LABELS),
    "sparse-probabilities": ("softmax", "sparse_categorical_crossentropy", LABELS),
    "categorical": (
        None,
        losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        ONE_HOT,
    ),
    "categorical-probabilities": ("softmax", "categorical_crossentropy", ONE_HOT),
    "binary": (None, losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), ONE_HOT),
    "binary-probabilities": ("sigmoid", losses.BinaryCrossentropy(), ONE_HOT),
    "squares": ("tanh", "mse", ONE_HOT),
    "sum": (None, losses.MeanSquaredError(reduction="sum"), ONE_HOT),
    "huber": (None, losses.Huber(), ONE_HOT),
}


@pytest.mark.parametrize("name", LOSSES)
def test_compiled_loss(name: str) -> None:
    activation, loss, targets = LOSSES[name]
    model = dense(activation)
    model.compile(loss=loss)
    imported = import_model(pock.Job(model, (X,), targets))
    function = find_function(imported.module, "eval")
    given = {**imported.weights, "inputs": X, "target": targets}
    names = [name_of(entry) for entry in argument_attributes(function)]
    found, *_ = run_function(imported.module, "eval", [given[name] for name in names])
    expected = model.compute_loss(y=targets, y_pred=model(X, training=False), training=False)
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-5)


TRAININGS: dict[str, tuple[Callable[[], Any], str]] = {
    "sgd": (lambda: optimizers.SGD(0.05, weight_decay=0.01), "squares"),
    "momentum": (lambda: optimizers.SGD(0.05, momentum=0.9), "binary"),
    "nesterov": (lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True), "categorical"),
    "adam": (lambda: optimizers.Adam(1e-2, epsilon=1e-3), "sparse"),
    "adamw": (lambda: optimizers.AdamW(1e-2, weight_decay=0.1), "sparse-probabilities"),
    "lion": (lambda: optimizers.Lion(1e-3, weight_decay=0.1), "binary-probabilities"),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_compiled_training(name: str) -> None:
    """Three steps of pock and of Keras itself give the same weights and statistics."""
    optimizer, loss = TRAININGS[name]
    activation, cost, targets = LOSSES[loss]
    model = dense(activation)
    model.compile(optimizer(), cost)
    costs, weights = trained(model, X, targets)
    expected = [float(np.asarray(model.train_on_batch(X, targets)))]
    np.testing.assert_allclose(costs[0], expected[0], rtol=1e-5)
    for _ in range(2):
        model.train_on_batch(X, targets)
    assert {variable.path for variable in model.variables} == set(weights)
    for variable in model.variables:
        value = np.array(variable.value)
        error = np.linalg.norm(weights[variable.path] - value)
        assert error <= 1e-5 * np.linalg.norm(value), variable.path


def test_losses_of_layers_and_several_outputs() -> None:
    """Regularizers and weighted losses of two outputs, as Keras adds them."""
    given = keras.Input((6,))
    x = layers.Dense(4, activation="relu", kernel_regularizer="l2")(given)
    x = layers.ActivityRegularization(l2=0.1)(x)
    heads = {"a": layers.Dense(3)(x), "b": layers.Dense(1)(x)}
    model = keras.Model(given, heads)
    loss = {"a": losses.SparseCategoricalCrossentropy(from_logits=True), "b": "mse"}
    model.compile(optimizers.SGD(0.1), loss, loss_weights={"a": 1.0, "b": 0.3})
    targets = {"a": LABELS, "b": floats(4, 1)}
    program = pock.compile(model, (X,), targets)
    costs = [program.step(X, targets["a"], targets["b"]) for _ in range(2)]
    expected = [float(model.train_on_batch(X, targets)[0]) for _ in range(1)]
    np.testing.assert_allclose(costs[0], expected[0], rtol=1e-5)
    assert pock.Job(model, (X,), targets, loss=None).loss is None


def test_masked_tokens_cost_nothing() -> None:
    ids = np.array([[3, 5, 0, 0], [2, 1, 4, 0]], np.int32)
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Embedding(9, 4, mask_zero=True), layers.Dense(9)]
    )
    model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(from_logits=True))
    costs, _ = trained(model, ids, ids)
    expected = model.train_on_batch(ids, ids)
    np.testing.assert_allclose(costs[0], float(np.asarray(expected)), rtol=1e-5)


def test_given_loss_and_optimizer_win() -> None:
    model = dense()
    model.compile("rmsprop", "mse")
    assert pock.Job(model, (X,), LABELS, "cross_entropy", pock.SGD(0.1)).loss == "cross_entropy"
    with pytest.raises(PockError, match="'RMSprop' is not supported"):
        pock.compile(model, (X,), ONE_HOT)
    assert pock.Job(dense(), (X,), LABELS).loss == "cross_entropy"


def test_names_and_frozen_layers() -> None:
    model = dense()
    model.layers[0].trainable = False
    imported = import_model(pock.Job(model, (X,), LABELS))
    paths = [variable.path for variable in model.layers[0].variables]
    assert sorted(imported.frozen) == sorted(paths)
    assert set(imported.weights) == {variable.path for variable in model.variables}
    assert imported.inputs == ("inputs",)
    assert frontend_of(model) == "keras"
    _, weights = trained(model, X, LABELS)
    assert set(paths).isdisjoint(weights)


def test_positional_inputs_are_named() -> None:
    model, inputs, targets = subclassed()
    assert import_model(pock.Job(model, inputs, targets)).inputs == ("x", "weight")


def test_file(tmp_path: Path) -> None:
    """Architecture, weights, loss and optimizer travel in a .keras file."""
    model = dense()
    model.compile(optimizers.Adam(1e-2), losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    loaded = pock.keras.load(tmp_path / "model.keras")
    expected, got = trained(model, X, LABELS), trained(loaded, X, LABELS)
    assert got[0] == expected[0]


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PockError, match="no such file"):
        pock.keras.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    with pytest.raises(PockError, match=r"is not a \.keras file"):
        pock.keras.load(tmp_path / "bad.keras")


class Noisy(keras.Model):
    """Random numbers that are no dropout's."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.dense(x)
        return x + keras.random.normal((3,), seed=self.seed) if training else x


class Own(keras.Model):
    """A training step of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)

    def train_step(self, state: Any, data: Any) -> Any:
        raise NotImplementedError


class Twins(keras.Model):
    """Two layers of one name."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [layers.Dense(6, name="same") for _ in range(2)]

    def call(self, x: Any) -> Any:
        return self.parts[1](self.parts[0](x))


def built(model: Any) -> Any:
    model(X)
    return model


def compiled(model: Any) -> Any:
    model.compile("sgd", "mse")
    return model


def half() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(3, dtype="mixed_bfloat16")])


REFUSED = {
    "random numbers other than dropout's": lambda: built(Noisy()),
    "is not built": Noisy,
    "dtype policy 'mixed_bfloat16' is not supported": half,
    "defines a train_step of its own": lambda: compiled(built(Own())),
    "two variables are called": lambda: built(Twins()),
    "is no keras.Model": lambda: layers.Dense(3),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message: str) -> None:
    with pytest.raises(PockError, match=message):
        import_model(pock.Job(REFUSED[message](), (X,), LABELS))


OPTIMIZERS_REFUSED = {
    "'Nadam' is not supported": lambda: optimizers.Nadam(),
    "with clipnorm is not": lambda: optimizers.SGD(0.1, clipnorm=1.0),
    "with amsgrad is not": lambda: optimizers.Adam(amsgrad=True),
    "with use_ema is not": lambda: optimizers.Adam(use_ema=True),
    "by a schedule": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.1, 10)),
    "momentum and weight_decay": lambda: optimizers.SGD(0.1, momentum=0.5, weight_decay=0.1),
}


@pytest.mark.parametrize("message", OPTIMIZERS_REFUSED)
def test_optimizers_that_are_refused(message: str) -> None:
    with pytest.raises(PockError, match=message):
        pock.keras.from_keras(OPTIMIZERS_REFUSED[message]())


def test_optimizer_that_has_started() -> None:
    model = compiled(dense())
    model.train_on_batch(X, ONE_HOT)
    with pytest.raises(PockError, match="taken steps already"):
        pock.compile(model, (X,), ONE_HOT)


def test_excluded_from_weight_decay() -> None:
    """By name and by variable."""
    for excluded in ({"var_names": ["bias"]}, {"var_list": dense().variables[:1]}):
        optimizer = optimizers.AdamW()
        optimizer.exclude_from_weight_decay(**excluded)
        with pytest.raises(PockError, match="excluded from weight decay"):
            pock.keras.from_keras(optimizer)


def test_model_is_left_as_it_was() -> None:
    made = job("sequential")
    before = [np.array(variable.value) for variable in made.model.variables]
    import_model(made)
    for variable, value in zip(made.model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable.value), value)
    assert made.model.losses == []


def test_names_that_pock_relies_on() -> None:
    """Private names of Keras: a new version may change them."""
    from keras.src.backend.jax import random
    from keras.src.losses.losses import LossFunctionWrapper

    model = dense()
    assert {"_flatten_layers", "_call_has_training_arg", "_losses_override"} <= set(dir(model))
    assert hasattr(model.layers[0], "_trainable_variables")
    assert "seed.next()" in inspect.getsource(random.draw_seed)
    assert "jax.random.bernoulli" in inspect.getsource(random.dropout)
    assert layers.Dropout(0.1).seed_generator.state.name == "seed_generator_state"
    assert issubclass(LossFunctionWrapper, losses.Loss)
    function = find_function(import_model(job("sequential")).module, "train")
    names = [op.name for op in function.body.block.ops]
    assert names.count("nn.batch_norm") == 2  # keras.src.backend.jax.nn is marked
    compiled(model)
    assert model._compile_loss._user_loss_weights is None
