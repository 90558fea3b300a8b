"""Which backend Keras runs on: one for a whole process, chosen before Keras is imported."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from pock.frontends import missing_package
from pock.frontends.keras.archive import check_archive
from pock_ir.diagnostics import Diagnostic, PockError, quote

BACKENDS = ("jax", "tensorflow")
"""Backends whose models pock imports."""

VARIABLE = "KERAS_BACKEND"
HELP_VERSION = "it may be damaged, or written by a version of Keras that stores more"
UNKNOWN = "Could not locate"
"""In what Keras says about a class or function that it does not know."""

UNUSED_OPTIMIZER = "Skipping variable loading for optimizer .* the saved optimizer has [12] variab"
"""What Keras warns of where the stored optimizer has a rate and a count of steps, but no state."""

HELP_CUSTOM = (
    "if it has layers, losses or functions of your own, give the model that "
    "pock.keras.load(path, custom_objects={...}) returns"
)
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


def load(path: str | Path, *, safe_mode: bool = True, **options: Any) -> Any:
    """The model in a `.keras` file.

    Keras is imported on its JAX backend if nothing has imported it yet and KERAS_BACKEND is not
    set; a model on the TensorFlow backend can be compiled as well. safe_mode: refuse Python code in
    the file, which would run; only of a file that you trust it may be False. options: others of
    `keras.saving.load_model`, such as custom_objects.

    Raises PockError if the file cannot be read, if Keras or its backend is not installed, and for
    other backends.
    """
    file = Path(path)
    check_archive(file, safe_mode)
    keras = _imported_keras()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", UNUSED_OPTIMIZER)
            model = keras.saving.load_model(file, safe_mode=safe_mode, **options)
    except Exception as error:
        reason = _reason(error)
        help = HELP_CUSTOM if UNKNOWN in reason else HELP_VERSION
        message = f"Keras cannot load it: {reason}"
        raise PockError(Diagnostic(message, str(file), help)) from error
    keras_backend(model)
    return model


def _imported_keras() -> Any:
    if "keras" not in sys.modules:
        os.environ.setdefault(VARIABLE, "jax")
    try:
        import keras
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        message = f"a .keras file needs {missing[0]}, which is not installed"
        raise PockError(Diagnostic(message, help="pip install 'pock[keras]'")) from None
    return keras


def _reason(error: Exception) -> str:
    """The first sentence of what Keras says."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(". ")[0].rstrip(".")
