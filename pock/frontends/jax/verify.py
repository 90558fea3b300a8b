"""The training of a job in JAX, to compare a compiled program with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pock.frontends.jax.capture import Given
from pock.frontends.jax.loss import Loss
from pock.frontends.jax.model import model_of
from pock.frontends.jax.oracle import Compiled, ReferenceTraining
from pock.frontends.jax.structure import to_numpy
from pock.reference import Setup
from pock_ir.types import Array


class JaxReference:
    """A model with its loss and example batch, to be trained in JAX.

    Raises PockError for an object that is no JAX model.
    """

    def __init__(self, model: Any, inputs: Any, targets: Any, loss: Loss) -> None:
        self._model = model_of(model)
        self._given = Given.of(self._model, inputs, targets)
        self._loss = loss
        self._compiled: dict[tuple[bool, str], Compiled] = {}

    def batch(self) -> list[Array]:
        """The example inputs and targets, as the program names them."""
        given = self._given
        return [to_numpy(value) for value in (*given.inputs.values(), *given.targets.values())]

    def training(
        self, setup: Setup, double: bool, weights: Mapping[str, Array]
    ) -> ReferenceTraining:
        """A training from the model's weights, but for those in `weights`.

        Trainings of one kind share their compiled step.
        """
        key = (double, repr(sorted(setup.parts.items())))
        if key not in self._compiled:
            dtype, batch = np.float64 if double else np.float32, self._given.batch
            self._compiled[key] = Compiled.of(self._model, self._loss, batch, dtype, setup.parts)
        return ReferenceTraining(self._compiled[key], setup.optimizer, weights, setup.seed)
