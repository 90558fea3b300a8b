"""Optimizer updates for trainings that programs are compared with: pock's, or optax's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pock.frontends.common import updates
from pock_ir.passes.optimizer import SGD, Adam, Lion

Arrays = Mapping[str, Any]
Update = Callable[[Arrays, Arrays], dict[str, Any]]
"""(gradients, parameters) -> new parameters; it keeps its own state."""


def make_update(optimizer: Any, params: Arrays) -> Update:
    """The updates of `optimizer`, one of pock's or of optax, from its first step on."""
    return (
        _own(optimizer) if isinstance(optimizer, SGD | Adam | Lion) else _optax(optimizer, params)
    )


def _own(optimizer: Any) -> Update:
    rule = updates.make_update(optimizer)

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        return rule(*({k: np.asarray(v) for k, v in each.items()} for each in (gradients, params)))

    return update


def _optax(optimizer: Any, params: Arrays) -> Update:
    held = [optimizer.init(dict(params))]

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        # Gradients of the parts that are trained have the parts' names, as the state has.
        changes, held[0] = optimizer.update(dict(gradients), held[0], dict(params))
        return {name: value + changes[name] for name, value in params.items()}

    return update
