"""Importers, one folder per framework, chosen by what they are given.

A framework is imported only inside its own folder: `import pock` needs none of them.
"""

from __future__ import annotations

from typing import Any, Protocol

from pock.frontends.imported import Imported
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Optimizer

__all__ = ["Imported", "import_model", "optimizer_from"]

FRONTENDS = ("torch",)


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


def origin(value: object) -> str:
    """The top-level packages that the classes of `value` come from, as one text."""
    return " ".join(sorted({kind.__module__.split(".")[0] for kind in type(value).__mro__}))


def frontend_of(model: object, forced: str | None = None) -> str:
    """The name of the importer for `model`. Raises PockError if there is none."""
    if forced is not None:
        if forced not in FRONTENDS:
            known = ", ".join(FRONTENDS)
            raise PockError(Diagnostic(f"unknown frontend {quote(forced)}", help=f"known: {known}"))
        return forced
    for name in FRONTENDS:
        if name in origin(model).split():
            return name
    raise PockError(
        Diagnostic(
            f"{quote(type(model).__name__)} is no model that pock can import",
            help="give a torch.nn.Module or a torch.export.ExportedProgram",
        )
    )


def import_model(job: ImportJob) -> Imported:
    """The model of `job` as IR, with its weights.

    Raises PockError with everything that is not supported, and if the framework is missing.
    """
    frontend_of(job.model, job.frontend)
    from pock.frontends.torch.importer import import_torch

    return import_torch(job.model, job.example_inputs, job.example_targets, job.loss, name=job.name)


def optimizer_from(optimizer: object) -> Optimizer:
    """One of pock's optimizers, from itself or from a framework's.

    Raises PockError if it has no equivalent.
    """
    if isinstance(optimizer, SGD | Adam | AdamW):
        return optimizer
    if "torch" in origin(optimizer).split():
        from pock.frontends.torch.optimizer import from_torch

        return from_torch(optimizer)
    raise PockError(
        Diagnostic(
            f"{quote(type(optimizer).__name__)} is no optimizer that pock knows",
            help="give pock.SGD, pock.Adam, pock.AdamW or a torch optimizer",
        )
    )
