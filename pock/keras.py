"""Giving Keras models to `pock.compile`.

A keras.Model is given as it is; `load` reads one from a `.keras` file. Loss and optimizer are those
that the model was compiled with, unless others are given. `from_keras` says which of pock's
optimizers one of Keras's is. Needs keras, and jax or tensorflow as its backend.
"""

from pock.frontends.keras.backend import load
from pock.frontends.keras.optimizer import from_keras

__all__ = ["from_keras", "load"]
