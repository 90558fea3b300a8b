"""Importers, one folder per framework, chosen by what they are given.

A framework is imported only inside its own folder: `import pock` needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from typing import Any, Protocol

from pock.frontends.imported import Imported
from pock.optimizers import DEFAULTS
from pock.reference import Reference
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer

__all__ = [
    "FRONTENDS",
    "Imported",
    "default_loss",
    "default_optimizer",
    "import_model",
    "missing_package",
    "optimizer_from",
    "reference_for",
]


@dataclass(frozen=True)
class Frontend:
    """One importer: what it imports, and where its parts are in its own folder.

    origins: packages whose classes it imports. takes: what these are, for messages. importer,
    reference: "module:name" of the function and the class that do its work. forced_on: whether it
    judges by itself what no importer is for, such as a Python function, if it is forced.
    """

    origins: tuple[str, ...]
    takes: str
    importer: str
    reference: str
    forced_on: bool = False


# Keras comes first: its classes on the PyTorch backend are torch modules as well.
FRONTENDS: Mapping[str, Frontend] = {
    "keras": Frontend(
        ("keras",), "a keras.Model", "importer:import_keras", "verify:keras_reference"
    ),
    "torch": Frontend(
        ("torch",),
        "a torch.nn.Module or torch.export.ExportedProgram",
        "importer:import_torch",
        "verify:TorchReference",
    ),
    "jax": Frontend(
        ("flax", "equinox", "pock.frontends.jax"),
        "a flax.nnx or Equinox module, pock.jax.linen(module, variables) or "
        "pock.jax.Model(function, params)",
        "importer:import_jax",
        "verify:JaxReference",
        forced_on=True,
    ),
    "tensorflow": Frontend(
        ("tensorflow",),
        "a tf.Module or tf.function",
        "importer:import_tensorflow",
        "verify:TensorFlowReference",
        forced_on=True,
    ),
}

EXTRAS: Mapping[str, str] = {
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "flax": "jax-models",
    "optax": "jax-models",
    "equinox": "jax-models",
}
"""Package of a framework -> the extra of pock that installs it."""


class ImportJob(Protocol):
    """What an importer reads of a job; see `pock.compile`."""

    @property
    def model(self) -> Any: ...
    @property
    def example_inputs(self) -> Any: ...
    @property
    def example_targets(self) -> Any: ...
    @property
    def loss(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def frontend(self) -> str | None: ...


def comes_from(value: object, packages: Sequence[str]) -> bool:
    """Whether a class of `value` is defined in one of `packages`."""
    modules = [kind.__module__ for kind in type(value).__mro__]
    return any(
        module == package or module.startswith(f"{package}.")
        for module in modules
        for package in packages
    )


def frontend_of(model: object, forced: str | None = None) -> str:
    """The name of the importer for `model`, or `forced`.

    Raises PockError if there is none, or `forced` is none or cannot take this model.
    """
    own = next((n for n, known in FRONTENDS.items() if comes_from(model, known.origins)), None)
    if forced is None:
        return _recognised(model, own)
    if forced not in FRONTENDS:
        known = ", ".join(FRONTENDS)
        raise PockError(Diagnostic(f"unknown frontend {quote(forced)}", help=f"known: {known}"))
    if own == "keras" and forced == "tensorflow":
        # Its own importer knows the losses of Keras, and passes models on TensorFlow on.
        backend = _part(own, "backend:keras_backend")(model)
        if backend == forced:
            return own
        help = "set KERAS_BACKEND=tensorflow before Keras is imported, or force no frontend"
        raise PockError(Diagnostic(f"Keras runs on {quote(backend)} here", help=help))
    if own not in (None, forced):
        message = f"{_kind(model)} is a model of {own}, and the frontend is forced to be {forced}"
        help = f"leave the frontend out (--frontend); {forced} takes {FRONTENDS[forced].takes}"
        raise PockError(Diagnostic(message, help=help))
    if own is None and not FRONTENDS[forced].forced_on:
        help = f"give {FRONTENDS[forced].takes}"
        raise PockError(Diagnostic(f"{_kind(model)} is no model of {forced}", help=help))
    return forced


def _recognised(model: object, own: str | None) -> str:
    if own is not None:
        return own
    if isinstance(model, str | PathLike):
        raise PockError(
            Diagnostic(
                f"the path {quote(str(model))} is given as a model",
                help="load it first, a .keras file with pock.keras.load(path)",
            )
        )
    takes = "; ".join(known.takes for known in FRONTENDS.values())
    raise PockError(
        Diagnostic(f"{_kind(model)} is no model that pock can import", help=f"give {takes}")
    )


def _kind(model: object) -> str:
    return quote(type(model).__name__)


def import_model(job: ImportJob) -> Imported:
    """The model of `job` as IR, with its weights.

    Raises PockError with everything that is not supported, and if the framework is missing.
    """
    name = frontend_of(job.model, job.frontend)
    load = _part(name, FRONTENDS[name].importer)
    with _installed(name):
        return load(job.model, job.example_inputs, job.example_targets, job.loss, name=job.name)


def reference_for(job: ImportJob) -> Reference:
    """The training of `job` in its framework, to compare a program with.

    Raises PockError as `import_model` does.
    """
    name = frontend_of(job.model, job.frontend)
    reference = _part(name, FRONTENDS[name].reference)
    with _installed(name):
        return reference(job.model, job.example_inputs, job.example_targets, job.loss)


def _part(name: str, place: str) -> Any:
    """What "module:name" is in the folder of frontend `name`.

    Raises PockError if its framework is missing.
    """
    module, _, attribute = place.partition(":")
    with _installed(name):
        return getattr(import_module(f"{__name__}.{name}.{module}"), attribute)


@contextmanager
def _installed(name: str) -> Iterator[None]:
    """Raise PockError where the block needs a framework that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        package, help = missing
        message = f"the frontend {quote(name)} needs {package}, which is not installed"
        raise PockError(Diagnostic(message, help=help)) from None


def missing_package(error: ModuleNotFoundError) -> tuple[str, str] | None:
    """The package of a framework whose absence `error` tells, and how to install it."""
    package = (error.name or "").split(".")[0]
    extra = EXTRAS.get(package)
    return None if extra is None else (package, f"pip install 'pock[{extra}]'")


OPTIMIZERS: Mapping[str, tuple[str, str]] = {
    "torch": ("torch", "optimizer:from_torch"),
    "jax": ("optax", "optimizer:from_optax"),
    "keras": ("keras", "optimizer:from_keras"),
}
"""Frontend -> the package of optimizers that it knows, and what converts one."""


def optimizer_from(optimizer: object) -> Optimizer:
    """One of pock's optimizers, from itself or from a framework's.

    Raises PockError if it has no equivalent.
    """
    if isinstance(optimizer, SGD | Adam | AdamW | Lion):
        return optimizer
    for name, (package, place) in OPTIMIZERS.items():
        if comes_from(optimizer, (package,)):
            return _part(name, place)(optimizer)
    raise PockError(
        Diagnostic(
            f"{quote(type(optimizer).__name__)} is no optimizer that pock knows",
            help="give pock.SGD, pock.Adam, pock.AdamW, pock.Lion, or an optimizer of torch, optax "
            "or Keras",
        )
    )


def default_loss(model: object) -> Any:
    """The loss of a job that gives none: "cross_entropy"; of a compiled Keras model its own.

    That one has no name: None stands for it, which the Keras importer resolves.
    """
    return None if _compiled_keras(model) else "cross_entropy"


def default_optimizer(model: object) -> Any:
    """The optimizer of a job that gives none: SGD(lr=0.01); of a compiled Keras model its own."""
    compiled = _compiled_keras(model)
    return DEFAULTS["sgd"] if compiled is None else compiled.optimizer


def _compiled_keras(model: object) -> Any:
    """`model` if it is a Keras model that `compile` was called on, else None."""
    return model if comes_from(model, ("keras",)) and getattr(model, "compiled", False) else None
