"""Importers, one folder per framework, chosen by what they are given.

A framework is imported only inside its own folder: `import pock` needs none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from pock.frontends.imported import Imported
from pock.reference import Reference
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer

__all__ = [
    "Imported",
    "default_loss",
    "default_optimizer",
    "import_model",
    "optimizer_from",
    "reference_for",
]


@dataclass(frozen=True)
class Frontend:
    """One importer: what it imports, and where its parts are in its own folder.

    origins: packages whose classes it imports. package: the framework that it needs.
    importer, reference: "module:name" of the function and the class that do its work.
    """

    origins: tuple[str, ...]
    package: str
    importer: str
    reference: str


# Keras comes first: its classes on the PyTorch backend are torch modules as well.
FRONTENDS: Mapping[str, Frontend] = {
    "keras": Frontend(("keras",), "keras", "importer:import_keras", "verify:keras_reference"),
    "torch": Frontend(("torch",), "torch", "importer:import_torch", "verify:TorchReference"),
    "jax": Frontend(
        ("flax", "equinox", "pock.frontends.jax"),
        "jax",
        "importer:import_jax",
        "verify:JaxReference",
    ),
    "tensorflow": Frontend(
        ("tensorflow",),
        "tensorflow",
        "importer:import_tensorflow",
        "verify:TensorFlowReference",
    ),
}


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
    """The name of the importer for `model`. Raises PockError if there is none."""
    if forced is not None:
        if forced not in FRONTENDS:
            known = ", ".join(FRONTENDS)
            raise PockError(Diagnostic(f"unknown frontend {quote(forced)}", help=f"known: {known}"))
        return forced
    for name, frontend in FRONTENDS.items():
        if comes_from(model, frontend.origins):
            return name
    raise PockError(
        Diagnostic(
            f"{quote(type(model).__name__)} is no model that pock can import",
            help="give a torch.nn.Module, a torch.export.ExportedProgram, a flax.nnx or Equinox "
            "module, pock.jax.linen(module, variables), pock.jax.Model(function, params), a "
            "keras.Model, a tf.Module or a tf.function",
        )
    )


def import_model(job: ImportJob) -> Imported:
    """The model of `job` as IR, with its weights.

    Raises PockError with everything that is not supported, and if the framework is missing.
    """
    name = frontend_of(job.model, job.frontend)
    load = _part(name, FRONTENDS[name].importer)
    return load(job.model, job.example_inputs, job.example_targets, job.loss, name=job.name)


def reference_for(job: ImportJob) -> Reference:
    """The training of `job` in its framework, to compare a program with.

    Raises PockError as `import_model` does.
    """
    name = frontend_of(job.model, job.frontend)
    reference = _part(name, FRONTENDS[name].reference)
    return reference(job.model, job.example_inputs, job.example_targets, job.loss)


def _part(name: str, place: str) -> Any:
    """What "module:name" is in the folder of frontend `name`.

    Raises PockError if its framework is missing.
    """
    module, _, attribute = place.partition(":")
    package = FRONTENDS[name].package
    try:
        return getattr(import_module(f"{__name__}.{name}.{module}"), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package:
            raise
        message = f"the frontend {quote(name)} needs {package}, which is not installed"
        raise PockError(Diagnostic(message, help=f"pip install 'pock[{name}]'")) from None


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
    return SGD(lr=0.01) if compiled is None else compiled.optimizer


def _compiled_keras(model: object) -> Any:
    """`model` if it is a Keras model that `compile` was called on, else None."""
    return model if comes_from(model, ("keras",)) and getattr(model, "compiled", False) else None
