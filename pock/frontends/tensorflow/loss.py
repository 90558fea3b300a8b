"""Losses as functions of what a model returns and what it should."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from pock.frontends.common.loss import logits_of, named_loss, target_of
from pock.frontends.tensorflow.structure import named_tensors
from pock_ir.diagnostics import Diagnostic, PockError

LossFunction = Callable[[Any, Any], Any]
Loss = str | LossFunction


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over all labels[...] of -log softmax(logits[..., C]) at the label."""
    if not labels.dtype.is_integer:
        raise PockError(
            Diagnostic(
                f"cross entropy takes class indices, not {labels.dtype.name}",
                help="give a function of outputs and targets",
            )
        )
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )


def mean_squared_error(outputs: Any, targets: Any) -> Any:
    """The mean over all elements of (outputs - targets)^2; both have one shape."""
    if outputs.shape != targets.shape:
        shapes = f"{outputs.shape} and {targets.shape}"
        raise PockError(
            Diagnostic(f"the mean squared error of shapes {shapes}", help="give one shape")
        )
    return tf.reduce_mean(tf.math.squared_difference(outputs, targets))


LOSSES: Mapping[str, LossFunction] = {
    "cross_entropy": lambda outputs, targets: cross_entropy(_logits(outputs), _only(targets)),
    "mse": lambda outputs, targets: mean_squared_error(_logits(outputs), _only(targets)),
    "output": lambda outputs, targets: _logits(outputs),
}
"""Losses that have a name. "output": the model returns its own loss."""


def loss_function(loss: Loss) -> LossFunction:
    """The loss called `loss`, a keras.losses.Loss, or a function as it is.

    Raises PockError for an unknown name.
    """
    given: Any = loss
    origins = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(given).__mro__]
    if any(o.startswith("keras.") and o.endswith(".Loss") for o in origins):
        return lambda outputs, targets: given(_only(targets), _logits(outputs))
    if not isinstance(loss, str):
        return loss
    return named_loss(loss, LOSSES)


def scalar_loss(loss: LossFunction, outputs: Any, targets: Any) -> Any:
    """The loss of a batch. Raises PockError if it is not one float scalar."""
    value = loss(outputs, targets)
    if not tf.is_tensor(value) or value.shape.rank != 0 or not value.dtype.is_floating:
        is_tensor = tf.is_tensor(value)
        found = f"{value.dtype.name}{value.shape}" if is_tensor else type(value).__name__
        raise PockError(
            Diagnostic(
                f"the loss should be one float scalar, not {found}",
                help="reduce it, for example with tf.reduce_mean",
            )
        )
    return value


def _logits(outputs: Any) -> Any:
    return logits_of(outputs, _tensors)


def _only(targets: Any) -> Any:
    return target_of(targets, _tensors)


def _tensors(tree: Any) -> Iterable[Any]:
    return named_tensors(tree, "x").values()
