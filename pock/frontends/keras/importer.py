"""Keras models as modules of level `nn`, by the backend that Keras runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pock.frontends.imported import Imported
from pock.frontends.keras.backend import keras_backend


def import_keras(
    model: Any,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    example_targets: Any,
    loss: Any,
    *,
    name: str = "net",
) -> Imported:
    """Import a keras.Model with `loss`; see `import_jax`.

    loss: None takes over what `model.compile` was given; see `loss.model_loss`.

    Raises PockError with everything that cannot be imported, and for a backend of Keras's that
    pock has no importer for.
    """
    given = (example_inputs, example_targets)
    if keras_backend(model) == "tensorflow":
        from pock.frontends.keras.compiled import single_loss
        from pock.frontends.tensorflow.importer import import_tensorflow

        chosen = single_loss(model) if loss is None else loss
        return import_tensorflow(model, *given, chosen, name=name)
    from pock.frontends.jax.importer import import_jax
    from pock.frontends.keras.loss import model_loss
    from pock.frontends.keras.model import KerasModel

    held = KerasModel(model)
    imported = import_jax(held.pure, *given, model_loss(held, loss), name=name)
    return replace(imported, frozen=held.frozen)
