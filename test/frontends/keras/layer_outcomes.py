"""What becomes of each part of Keras: imported with its gradient, or refused and why."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
from keras import layers
from keras.src.initializers import random_initializers
from layer_cases import ELSEWHERE, Case, case_of, names

from pock.compiler import Job
from pock.frontends import import_model
from pock.frontends.imported import Imported
from pock.frontends.keras.example import example
from pock.frontends.keras.optimizer import from_keras
from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.interpret import find_function
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.signature import argument_attributes, kind_of

BATCH, BELOW = 2, 3
"""Samples, and what integer inputs are below."""


NO_OPTIMIZERS = ("LossScaleOptimizer", "MultiOptimizer", "Optimizer", "OptimizerMap")
NO_ACTIVATIONS = ("deserialize", "get", "serialize")
"""Public names that stand for no function, or only around others."""

ACTIVATIONS = {"threshold": lambda x: keras.activations.threshold(x, 0.5, 0.0)}
"""Those that need options."""


class Gain(layers.Layer):
    """The input times a trained factor for each of its numbers: it gets a gradient of its own."""

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=shape[1:], initializer="ones", name="gain")

    def call(self, x: Any) -> Any:
        return x * self.gain


@dataclass(frozen=True)
class Outcome:
    """forward, backward: "yes", "zero" (nothing has a gradient), "-", or "no: " and why."""

    forward: str
    backward: str


class Draws:
    """Random numbers for initial weights, without JAX, which compiles a function for each shape."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)
        self.make_default_seed = lambda: 0
        self.SeedGenerator = keras.random.SeedGenerator

    def _drawn(self, shape: Any, *_: Any, dtype: Any = None, **__: Any) -> Any:
        return jnp.asarray(self._generator.standard_normal(shape) * 0.3, dtype)

    uniform = normal = truncated_normal = _drawn


@contextmanager
def quick_weights() -> Iterator[None]:
    """Layers that are made meanwhile draw their weights from `Draws`."""
    original = random_initializers.random
    random_initializers.random = Draws()
    try:
        yield
    finally:
        random_initializers.random = original


def job_of(case: Case) -> Job:
    """The smallest model that has the layer, with inputs. Raises what Keras raises."""
    with quick_weights():
        return _job(case)


def _job(case: Case) -> Job:
    given = [keras.Input(shape, dtype=case.dtype) for shape in case.shapes]
    inner = [Gain()(x) for x in given] if case.dtype == "float32" else given
    layer = case.make()
    made = layer(list(inner)) if case.as_list else layer(*inner)
    outputs = {f"y{i}": y for i, y in enumerate(keras.tree.flatten(made))}
    model = keras.Model(given, outputs)
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, BELOW, (BATCH, *shape)).astype(np.int32)
        if case.dtype == "int32"
        else rng.uniform(0.1, 1.0, (BATCH, *shape)).astype(np.float32)
        for shape in case.shapes
    ]
    return Job(model, (arrays,), None, loss=weighted, name="layer")


def weighted(outputs: Any, _: Any) -> Any:
    """A loss that depends on every output in another way."""
    floats = [y for y in outputs.values() if jnp.issubdtype(y.dtype, jnp.floating)]
    waves = [1.0 + 0.5 * jnp.sin(jnp.arange(y.size, dtype=jnp.float32)) for y in floats]
    return sum((jnp.vdot(w, y.ravel()) for w, y in zip(waves, floats, strict=True)), jnp.zeros(()))


def parts() -> list[str]:
    """Everything that the ledger lists: "layers.Dense", "losses.MeanSquaredError" and so on."""
    losses, optimizers = public(keras.losses, "Loss"), public(keras.optimizers, *NO_OPTIMIZERS)
    names_by_kind = {"layers": names(), "losses": losses, "optimizers": optimizers}
    names_by_kind["activations"] = [
        name
        for name, function in sorted(vars(keras.activations).items())
        if inspect.isfunction(function) and name not in NO_ACTIVATIONS
    ]
    return [f"{kind}.{name}" for kind, found in sorted(names_by_kind.items()) for name in found]


def public(module: Any, *without: str) -> list[str]:
    """The classes of `module` by name, without second names of one."""
    found = {name: kind for name, kind in vars(module).items() if inspect.isclass(kind)}
    return [n for n in sorted(found) if found[n].__name__ == n and n not in without]


def outcome_of(part: str) -> Outcome:
    """What becomes of an entry of `parts`."""
    kind, _, name = part.partition(".")
    if kind == "layers" and name in ELSEWHERE:
        return Outcome(f"no: {ELSEWHERE[name]}", "no")
    try:
        if kind == "optimizers":
            from_keras(getattr(keras.optimizers, name)())
            return Outcome("yes", "-")
        imported = import_model(job_of_part(kind, name))
    except PockError as error:
        return Outcome(f"no: {_reason(error)}", "no")
    return Outcome("yes", _gradient(imported))


def _reason(error: PockError) -> str:
    """The first reason, without the shapes of the case and what Keras's code stumbled over."""
    message = error.diagnostics[0].message.partition(" (operands")[0]
    untraced = "JAX cannot trace"
    return f"{untraced} what Keras does" if message.startswith(untraced) else message


def job_of_part(kind: str, name: str) -> Job:
    """The smallest model that has a layer, activation or loss. Raises PockError."""
    if kind == "layers":
        return job_of(case_of(name))
    if kind == "activations":
        return job_of(Case(lambda: layers.Activation(ACTIVATIONS.get(name, name))))
    if name == "CTC":
        return _labels_of_sequences()
    with quick_weights():
        model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="softmax")])
    model.compile(loss=getattr(keras.losses, name)())
    return Job(model, *example(model, BATCH), name="loss")


def _labels_of_sequences() -> Job:
    """A model with the loss CTC; 0 is its blank."""
    with quick_weights():
        model = keras.Sequential([keras.Input((6, 3)), layers.Dense(4)])
    model.compile(loss=keras.losses.CTC())
    return Job(model, (np.ones((BATCH, 6, 3), np.float32),), np.ones((BATCH, 2), np.int32))


def _gradient(imported: Imported) -> str:
    module = imported.module.clone()
    arguments = argument_attributes(find_function(module, "train"))
    if "parameter" not in map(kind_of, arguments):
        return "zero"
    try:
        for action in (ApplySchemePass("full"), AutodiffPass()):
            action.apply(make_context(), module)
    except PockError as error:
        return f"no: {error.diagnostics[0].message}"
    return "yes"
