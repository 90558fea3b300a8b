"""Losses of Keras models on the JAX backend as functions of outputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import keras

from pock.frontends.common.loss import logits_of
from pock.frontends.jax.loss import loss_function
from pock.frontends.keras.compiled import check_compiled
from pock.frontends.keras.model import KerasModel

LossFunction = Callable[[Any, Any], Any]


def model_loss(held: KerasModel, loss: Any) -> LossFunction:
    """The loss of a batch as a function of outputs and targets.

    loss: None takes over what `model.compile` was given, with its weights, masks and reduction.
    Else a name of pock's, a keras.losses.Loss, or a function of outputs and targets; what layers
    add to the loss (regularizers, add_loss) is added to it. A named loss and one of Keras's get the
    output called "logits", or the first.

    Raises PockError for an unknown name, and for None if the model is not compiled or has a
    training step of its own.
    """
    if loss is None:
        check_compiled(held.model)
        return _compiled(held)
    function = _given(loss)

    def total(outputs: Any, targets: Any) -> Any:
        value = function(outputs, targets)
        for added in held.last_call().losses:
            value = value + jnp.sum(added)
        return value

    return total


def _compiled(held: KerasModel) -> LossFunction:
    """Keras's own computation of the loss that a model was compiled with."""
    model = held.model

    def total(outputs: Any, targets: Any) -> Any:
        call = held.last_call()
        metrics = [variable.value for variable in model.metrics_variables]
        model._losses_override = list(call.losses)
        try:
            loss, _ = model.stateless_compute_loss(
                call.trainable, call.rest, metrics, y=targets, y_pred=outputs
            )
        finally:
            model._losses_override = []
        return loss

    return total


def _given(loss: Any) -> LossFunction:
    if isinstance(loss, keras.losses.Loss):
        return lambda outputs, targets: loss(targets, logits_of(outputs, keras.tree.flatten))
    return loss_function(loss)
