"""The training of a job in Keras, to compare a compiled program with."""

from __future__ import annotations

from typing import Any

from pock.frontends.keras.backend import keras_backend
from pock.reference import Reference


def keras_reference(model: Any, inputs: Any, targets: Any, loss: Any) -> Reference:
    """A keras.Model with its loss and example batch, to be trained on Keras's backend.

    Raises PockError as `import_keras` does.
    """
    if keras_backend(model) == "tensorflow":
        from pock.frontends.keras.compiled import single_loss
        from pock.frontends.tensorflow.verify import TensorFlowReference

        chosen = single_loss(model) if loss is None else loss
        return TensorFlowReference(model, inputs, targets, chosen)
    from pock.frontends.jax.verify import JaxReference
    from pock.frontends.keras.loss import model_loss
    from pock.frontends.keras.model import KerasModel

    held = KerasModel(model)
    return JaxReference(held.pure, inputs, targets, model_loss(held, loss))
