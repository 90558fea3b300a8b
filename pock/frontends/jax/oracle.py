"""Training in JAX with pock's meaning of every choice, to compare a compiled program with.

What pock fixes is reproduced here: which parameters train, and which part of them; the formulas of
its optimizers, or optax itself if the job has one of optax's; and dropout, whose masks come from
pock's counter (see `evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pock.frontends.jax.capture import Capture, Given, Traced
from pock.frontends.jax.evaluate import Draw, evaluate
from pock.frontends.jax.loss import Loss
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.model import Model
from pock.frontends.jax.structure import to_numpy
from pock.frontends.jax.updates import make_update
from pock.reference import Part
from pock_ir.diagnostics import PockError
from pock_ir.dialects.dropout import keep_mask
from pock_ir.types import Array

Batch = tuple[Any, Any]
"""(inputs, targets)."""


def precision(dtype: Any) -> AbstractContextManager[Any]:
    """Where arrays of `dtype` keep their precision."""
    return jax.enable_x64(True) if jnp.dtype(dtype) == jnp.float64 else nullcontext()


def cast_tree(tree: Any, dtype: Any) -> Any:
    """`tree` with all floats as `dtype`."""

    def convert(value: Any) -> Any:
        is_float = hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)
        return jnp.asarray(value, dtype) if is_float else value

    return jax.tree_util.tree_map(convert, tree)


@dataclass(frozen=True)
class Compiled:
    """The training step of a model, for any number of trainings.

    dtype: of all float parameters, state and inputs; float64 gives the exact trajectory that
    rounding errors are judged by. parts: name -> None (all of it) or the trained part. results:
    (kind, name) of what a step returns. masks: shape and drop probability of each that it draws.
    """

    dtype: Any
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    parts: Mapping[str, Part | None]
    results: Sequence[tuple[str, str]]
    step: Callable[..., Any]
    masks: Sequence[tuple[tuple[int, ...], float]]

    @staticmethod
    def of(
        model: Model, loss: Loss, batch: Batch, dtype: Any, parts: Mapping[str, Part | None]
    ) -> Compiled:
        """The step of `model` on batches like `batch`. Raises PockError as tracing does."""
        with precision(dtype):
            params, state = cast_tree((model.params, model.state), dtype)
            pure = replace(model, params=params, state=state)
            given = Given.of(pure, *cast_tree(batch, dtype))
            traced = _traced(pure, loss, given) or _traced_narrow(model, loss, batch)
            step = _step_function(traced, list(given.params), parts)
            masks = _drawn(traced)
        return Compiled(dtype, given.params, given.state, parts, traced.results, step, masks)


def _traced(model: Model, loss: Loss, given: Given) -> Traced | None:
    """The training of `model`; None if it cannot be traced with float64 arrays."""
    try:
        return Capture(model, loss, given, Markers()).train()
    except PockError:
        if not jax.config.read("jax_enable_x64"):
            raise
        return None


def _traced_narrow(model: Model, loss: Loss, batch: Batch) -> Traced:
    """The training of `model` in its own types, which `evaluate` widens.

    A model that makes the carry of a loop itself, in f32, takes no other arrays.
    """
    with jax.enable_x64(False):
        return Capture(model, loss, Given.of(model, *batch), Markers()).train()


class ReferenceTraining:
    """A model in training: call `backward`, then `update`, once per step.

    optimizer: one of pock's, or an optax transformation. A part of a parameter has optimizer
    state of its own, as in pock. weights: other values for some parameters, by name. seed: of
    dropout.
    """

    def __init__(
        self, compiled: Compiled, optimizer: Any, weights: Mapping[str, Array], seed: int
    ) -> None:
        self._compiled = compiled
        self._dtype = compiled.dtype
        self._parts = compiled.parts
        self._seed = seed
        self._steps = 0
        with precision(self._dtype):
            other = {n: jnp.asarray(v, self._dtype) for n, v in weights.items()}
            self._params = {**compiled.params, **other}
            self._state = dict(compiled.state)
            self._leaves = {name: self._leaf(name) for name in self._parts}
            self._update = make_update(optimizer, self._leaves)
        self._gradients: dict[str, Any] = {}

    def _leaf(self, name: str) -> Any:
        """The array that the optimizer updates."""
        value, part = self._params[name], self._parts[name]
        return value if part is None else jnp.take(value, np.asarray(part[1]), part[0])

    def backward(self, batch: Sequence[Array]) -> float:
        """Forward and backward on one batch, inputs and then targets; returns the loss.

        State is updated.
        """
        with precision(self._dtype):
            drawn = enumerate(self._compiled.masks)
            masks = [self._mask(stream, *drawn_as) for stream, drawn_as in drawn]
            (loss, state), self._gradients = self._compiled.step(
                self._leaves,
                self._params,
                list(self._state.values()),
                cast_tree(list(map(jnp.asarray, batch)), self._dtype),
                masks,
            )
        names = [name for kind, name in self._compiled.results if kind == "update"]
        self._state.update(zip(names, state, strict=True))
        self._steps += 1
        return float(loss)

    def _mask(self, stream: int, shape: tuple[int, ...], p: float) -> Array:
        words = (np.array(self._seed, np.int32), np.array(self._steps, np.int32))
        return keep_mask(shape, *words, p, stream)

    def gradients(self) -> dict[str, Array]:
        """The last gradient of each trained parameter, or of its trained part."""
        return {name: to_numpy(value) for name, value in self._gradients.items()}

    def update(self, replaced: Mapping[str, Array] | None = None) -> None:
        """Step the optimizer; the gradients of the parameters in `replaced` are those instead."""
        with precision(self._dtype):
            other = {n: jnp.asarray(g, self._dtype) for n, g in (replaced or {}).items()}
            self._leaves = self._update({**self._gradients, **other}, self._leaves)

    def updated(self) -> dict[str, Array]:
        """Trained parameters (whole) and all state as they are now."""
        with precision(self._dtype):
            whole = {
                name: _placed(self._params[name], leaf, self._parts[name])
                for name, leaf in self._leaves.items()
            }
        return {name: to_numpy(value) for name, value in {**whole, **self._state}.items()}


def _placed(value: Any, leaf: Any, part: Part | None) -> Any:
    """`value` with its trained part replaced."""
    if part is None:
        return leaf
    index = (slice(None),) * part[0] + (np.asarray(part[1]),)
    return value.at[index].set(leaf)


def _step_function(
    traced: Traced, names: Sequence[str], parts: Mapping[str, Part | None]
) -> Callable[..., Any]:
    """((loss, new state), gradients) of (leaves, params, state, batch, masks).

    Masks are arguments, so that the function is compiled once.
    """

    def run(leaves: Any, params: Any, state: Any, batch: Any, masks: Any) -> Any:
        whole = [
            _placed(params[name], leaves[name], parts[name]) if name in parts else params[name]
            for name in names
        ]
        given = iter(masks)
        key = [jax.random.key(0)] if traced.has_key else []
        results = _evaluate(traced, [*whole, *state, *batch, *key], lambda *_: next(given))
        return results[0], results[1:]

    return jax.jit(jax.value_and_grad(run, has_aux=True))


def _evaluate(traced: Traced, arguments: Sequence[Any], draw: Draw) -> list[Any]:
    """The loss, and then the new state."""
    double = bool(jax.config.read("jax_enable_x64"))
    return evaluate(traced.jaxpr, arguments, [True] * len(traced.results), draw, double)


def _drawn(traced: Traced) -> list[tuple[tuple[int, ...], float]]:
    """Shape and drop probability of each mask that a step draws, in order."""
    found: list[tuple[tuple[int, ...], float]] = []

    def draw(shape: tuple[int, ...], p: float) -> Any:
        found.append((shape, p))
        return jnp.ones(shape, bool)

    avals = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in traced.jaxpr.jaxpr.invars]
    jax.eval_shape(lambda *arguments: _evaluate(traced, arguments, draw), *avals)
    return found
