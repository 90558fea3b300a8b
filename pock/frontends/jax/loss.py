"""Losses as functions of what a model returns and what it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pock_ir.diagnostics import Diagnostic, PockError, quote

LossFunction = Callable[[Any, Any], Any]
Loss = str | LossFunction

LOGITS = "logits"
"""The output that a named loss gets if the model returns several and one has this name."""


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
    if loss not in LOSSES:
        known = ", ".join(map(quote, LOSSES))
        raise PockError(
            Diagnostic(f"no loss is called {quote(loss)}", help=f"use {known}, or a function")
        )
    return LOSSES[loss]


def _logits(outputs: Any) -> Any:
    """The output called "logits", or the first."""
    if isinstance(outputs, Mapping) and LOGITS in outputs:
        return outputs[LOGITS]
    return _first(outputs, "the model returns no array that a loss could take")


def _only(targets: Any) -> Any:
    return _first(targets, "the loss needs a target")


def _first(tree: Any, problem: str) -> Any:
    leaves = jax.tree_util.tree_leaves(tree)
    if not leaves:
        raise PockError(problem)
    return leaves[0]
