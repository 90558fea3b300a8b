"""Giving Keras models to `pock.compile`.

A keras.Model is given as it is; `load` reads one from a `.keras` file. Loss and optimizer are those
that the model was compiled with, unless others are given. `example` makes example inputs and
targets: `pock.compile(model, *pock.keras.example(model, batch=8))`. `from_keras` says which of
pock's optimizers one of Keras's is. Needs keras, and jax or tensorflow as its backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pock.frontends.keras.backend import load
from pock.frontends.keras.optimizer import from_keras

if TYPE_CHECKING:
    from pock.frontends.keras.example import example

__all__ = ["example", "from_keras", "load"]


def __getattr__(name: str) -> Any:
    # It imports Keras, whose backend `load` chooses first.
    if name == "example":
        from pock.frontends.keras.example import example

        return example
    raise AttributeError(f"module 'pock.keras' has no attribute {name!r}")
