"""Which backend Keras runs on: one for a whole process, chosen before Keras is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pock_ir.diagnostics import Diagnostic, PockError, quote

BACKENDS = ("jax", "tensorflow")
"""Backends whose models pock imports."""

VARIABLE = "KERAS_BACKEND"
HELP_BACKEND = f"set {VARIABLE}=jax before Keras is imported"


def keras_backend(model: Any) -> str:
    """The backend of Keras, of which `model` is one.

    Raises PockError if `model` is no keras.Model or the backend is not in `BACKENDS`.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise PockError(
            Diagnostic(
                f"{quote(type(model).__name__)} is no keras.Model",
                help="put a layer into a keras.Sequential",
            )
        )
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise PockError(
            Diagnostic(
                f"Keras runs on {quote(backend)}, where models cannot be taken over whole",
                help=f"{HELP_BACKEND}; weights are the same in a .keras file",
            )
        )
    return backend


def load(path: str | Path, **options: Any) -> Any:
    """The model in a `.keras` file.

    Keras is imported on its JAX backend if nothing has imported it yet and KERAS_BACKEND is not
    set; a model on the TensorFlow backend can be compiled as well. options: of
    `keras.saving.load_model`, such as custom_objects.

    Raises PockError if the file cannot be read, and for other backends.
    """
    file = Path(path)
    if not file.is_file():
        raise PockError(f"cannot read {quote(str(file))}: no such file")
    if "keras" not in sys.modules:
        os.environ.setdefault(VARIABLE, "jax")
    import keras

    try:
        model = keras.saving.load_model(file, **options)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise PockError(
            Diagnostic(
                f"Keras cannot load {quote(str(file))}: {reason}",
                help="give a .keras file; custom layers need custom_objects",
            )
        ) from error
    keras_backend(model)
    return model
