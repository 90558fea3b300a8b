"""Losses as functions of what a model returns and what it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pock.frontends.common.loss import logits_of, named_loss, target_of
from pock_ir.diagnostics import Diagnostic, PockError

LossFunction = Callable[[Any, Any], Any]
Loss = str | LossFunction


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over all labels[...] of -log softmax(logits[..., C]) at the label."""
    normalizers = jax.scipy.special.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return jnp.mean(normalizers - chosen)


def mean_squared_error(outputs: Any, targets: Any) -> Any:
    """The mean over all elements of (outputs - targets)^2; both have one shape."""
    if jnp.shape(outputs) != jnp.shape(targets):
        shapes = f"{list(jnp.shape(outputs))} and {list(jnp.shape(targets))}"
        raise PockError(
            Diagnostic(f"the mean squared error of shapes {shapes}", help="give one shape")
        )
    return jnp.mean(jnp.square(outputs - targets))


# Names are looked up when a loss is called, so that markers can keep it whole.
LOSSES: Mapping[str, LossFunction] = {
    "cross_entropy": lambda outputs, targets: cross_entropy(_logits(outputs), _only(targets)),
    "mse": lambda outputs, targets: mean_squared_error(_logits(outputs), _only(targets)),
    "output": lambda outputs, targets: outputs,
}
"""Losses that have a name. "output": the model returns its own loss."""


def loss_function(loss: Loss) -> LossFunction:
    """The loss called `loss`, or `loss` itself. Raises PockError for an unknown name."""
    if not isinstance(loss, str):
        return loss
    return named_loss(loss, LOSSES)


def _logits(outputs: Any) -> Any:
    return logits_of(outputs, jax.tree_util.tree_leaves)


def _only(targets: Any) -> Any:
    return target_of(targets, jax.tree_util.tree_leaves)
