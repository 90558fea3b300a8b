"""What a loss takes of a model's outputs and of targets, and losses that have a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pock_ir.diagnostics import Diagnostic, PockError, quote

LOGITS = "logits"
"""The output that a named loss gets if the model returns several and one has this name."""

Leaves = Callable[[Any], Iterable[Any]]
"""The tensors of a structure, in order."""

Loss = TypeVar("Loss")


def named_loss(name: str, losses: Mapping[str, Loss]) -> Loss:
    """The loss called `name`. Raises PockError if there is none."""
    if name not in losses:
        known = ", ".join(map(quote, losses))
        message = f"no loss is called {quote(name)}"
        raise PockError(Diagnostic(message, help=f"use {known}, or a function"))
    return losses[name]


def logits_of(outputs: Any, leaves: Leaves) -> Any:
    """The output called "logits", or the first. Raises PockError if there is none."""
    if isinstance(outputs, Mapping) and LOGITS in outputs:
        return outputs[LOGITS]
    return _first(outputs, leaves, "the model returns no tensor that a loss could take")


def target_of(targets: Any, leaves: Leaves) -> Any:
    """The first target. Raises PockError if there is none."""
    return _first(targets, leaves, "the loss needs a target")


def _first(tree: Any, leaves: Leaves, problem: str) -> Any:
    for leaf in leaves(tree):
        return leaf
    raise PockError(problem)
