"""Training in TensorFlow with pock's meaning of every choice, to compare a program with.

What pock fixes is reproduced here: which parameters train, and which part of them; the formulas of
its optimizers; and dropout, whose masks come from pock's counter (see `evaluate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pock.frontends.common.signature import PARAMETER
from pock.frontends.common.updates import make_update
from pock.frontends.tensorflow.evaluate import Evaluation
from pock.frontends.tensorflow.importer import Captured, stored_variables
from pock.frontends.tensorflow.random import uniform_numbers
from pock.frontends.tensorflow.run_node import widened
from pock.frontends.tensorflow.structure import to_numpy
from pock.reference import Part
from pock_ir.passes.optimizer import Optimizer
from pock_ir.types import Array


class ReferenceTraining:
    """See `pock.reference.Training`.

    double: f64 in the place of f32, which gives the exact trajectory that rounding is judged by.
    trainable: name -> None (all of it) or the trained part; None: every parameter that is not
        frozen. A part has optimizer state of its own, as in pock.
    weights: other values for some parameters, by name. seed: of dropout.
    """

    def __init__(
        self,
        captured: Captured,
        optimizer: Optimizer,
        *,
        double: bool = False,
        trainable: Mapping[str, Part | None] | None = None,
        weights: Mapping[str, Array] | None = None,
        seed: int = 0,
    ) -> None:
        held = stored_variables(captured)
        given = weights or {}
        self._double = double
        self._seed = seed
        self._steps = 0
        self._values = {v.name: self._tensor(given.get(v.name, v.value)) for v in held}
        self._buffers = [v.name for v in held if v.kind != PARAMETER]
        default = {v.name: None for v in held if v.kind == PARAMETER and not v.is_frozen}
        self._parts: dict[str, Part | None] = dict(default if trainable is None else trainable)
        self._leaves = {name: self._leaf(name) for name in self._parts}
        self._gradients: dict[str, Array] = {}
        self._update = make_update(optimizer)
        names = {id(v.value.handle): v.name for v in held}
        self._evaluation = Evaluation(captured.training, names, double)

    def _tensor(self, value: Any) -> Any:
        array = to_numpy(value)
        return tf.constant(array, widened(tf.as_dtype(array.dtype), self._double))

    def _leaf(self, name: str) -> Any:
        """The tensor that the optimizer updates."""
        value, part = self._values[name], self._parts[name]
        return value if part is None else tf.gather(value, list(part[1]), axis=part[0])

    def _whole(self, name: str) -> Any:
        """A parameter with its trained part in place."""
        leaf, part = self._leaves[name], self._parts[name]
        if part is None:
            return leaf
        axis, rank = part[0], leaf.shape.rank
        order = [axis, *(i for i in range(rank) if i != axis)]
        places = np.array(part[1])[:, None]
        value = tf.transpose(self._values[name], order)
        merged = tf.tensor_scatter_nd_update(value, places, tf.transpose(leaf, order))
        return tf.transpose(merged, np.argsort(order))

    def backward(self, batch: Sequence[Array]) -> float:
        """Forward and backward on one batch, inputs and then targets; buffers are updated."""
        arguments = [self._tensor(array) for array in batch]

        def draw(shape: tuple[int, ...], stream: int) -> Array:
            return uniform_numbers(shape, self._seed, self._steps, stream)

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self._leaves.values()))
            whole = {name: self._whole(name) for name in self._leaves}
            loss = self._evaluation.loss(arguments, {**self._values, **whole}, draw)
        zeros = tf.UnconnectedGradients.ZERO
        found = tape.gradient(loss, self._leaves, unconnected_gradients=zeros)
        self._gradients = {n: to_numpy(tf.convert_to_tensor(g)) for n, g in found.items()}
        for name in self._buffers:
            self._values[name] = self._evaluation.variables[name]
        self._steps += 1
        return float(loss)

    def gradients(self) -> Mapping[str, Array]:
        """The last gradient of each trained parameter, or of its trained part."""
        return self._gradients

    def update(self, replaced: Mapping[str, Array] | None = None) -> None:
        """Step the optimizer; the gradients of the parameters in `replaced` are those instead."""
        leaves = {name: to_numpy(leaf) for name, leaf in self._leaves.items()}
        kinds = {name: leaf.dtype for name, leaf in leaves.items()}
        others = {n: np.asarray(g, kinds[n]) for n, g in (replaced or {}).items()}
        updated = self._update({**self._gradients, **others}, leaves)
        self._leaves = {n: tf.constant(value, kinds[n]) for n, value in updated.items()}

    def updated(self) -> Mapping[str, Array]:
        """Trained parameters (whole) and all buffers as they are now."""
        whole = {name: to_numpy(self._whole(name)) for name in self._leaves}
        return whole | {name: to_numpy(self._values[name]) for name in self._buffers}
