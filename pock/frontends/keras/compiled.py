"""What `model.compile` was given, on any backend."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.losses.losses import LossFunctionWrapper

from pock_ir.diagnostics import Diagnostic, PockError, quote

HELP_LOSS = "give the loss as a function of outputs and targets"

OWN = ("train_step", "compute_loss_and_updates")
"""Methods whose overrides train in another way than by the gradient of one loss."""


def check_compiled(model: Any) -> None:
    """Raise PockError unless `model` is compiled and trains as Keras does."""
    kind = quote(type(model).__name__)
    if not model.compiled:
        raise PockError(Diagnostic(f"{kind} is not compiled", help="give a loss"))
    for name in OWN:
        if getattr(type(model), name, None) is not getattr(keras.Model, name, None):
            message = f"{kind} defines a {name} of its own, which pock cannot take over"
            raise PockError(Diagnostic(message, help=HELP_LOSS))


def single_loss(model: Any) -> Any:
    """The keras.losses.Loss that a model with one output was compiled with.

    Raises PockError as `check_compiled` does, and for several or weighted losses.
    """
    check_compiled(model)
    loss = model.loss
    weights = getattr(model._compile_loss, "_user_loss_weights", None)
    if loss is None or keras.tree.is_nested(loss) or weights is not None:
        what = "no loss" if loss is None else "several or weighted losses"
        message = f"{quote(model.name)} is compiled with {what}, which pock cannot take over"
        raise PockError(Diagnostic(message, help=HELP_LOSS))
    if isinstance(loss, keras.losses.Loss):
        return loss
    try:
        found = keras.losses.get(loss)
    except ValueError as error:
        raise PockError(Diagnostic(str(error), help=HELP_LOSS)) from None
    return found if isinstance(found, keras.losses.Loss) else LossFunctionWrapper(found)
