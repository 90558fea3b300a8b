"""The training of a job in TensorFlow, to compare a compiled program with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pock.frontends.tensorflow.importer import capture
from pock.frontends.tensorflow.loss import Loss
from pock.frontends.tensorflow.oracle import ReferenceTraining
from pock.frontends.tensorflow.structure import to_numpy
from pock.reference import Setup
from pock_ir.types import Array


class TensorFlowReference:
    """See `pock.reference.Reference`. The model is traced, and never changed.

    Raises PockError for an object that is no TensorFlow model.
    """

    def __init__(self, model: Any, inputs: Any, targets: Any, loss: Loss) -> None:
        self._captured = capture(model, inputs, targets, loss)

    def batch(self) -> list[Array]:
        """The example inputs and targets, as the program names them."""
        given = self._captured.given
        return [to_numpy(value) for value in (*given.inputs.values(), *given.targets.values())]

    def training(
        self, setup: Setup, double: bool, weights: Mapping[str, Array]
    ) -> ReferenceTraining:
        """A training from the model's weights, but for those in `weights`."""
        return ReferenceTraining(
            self._captured,
            setup.optimizer,
            double=double,
            trainable=setup.parts,
            weights=weights,
            seed=setup.seed,
        )
