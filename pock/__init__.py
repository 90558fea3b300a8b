"""pock: a compiler for training.

`pock.compile` turns a model, a loss, an optimizer and an update scheme into a training program in
C, with its weights, its header and a report that states its memory to the byte.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pock.compiler import Job, compile
    from pock.manifest import load_program
    from pock.program import Program
    from pock_ir.diagnostics import PockError
    from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion
    from pock_ir.passes.scheme_rules import Scheme

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Job",
    "Lion",
    "PockError",
    "Program",
    "Scheme",
    "compile",
    "load_program",
]

# Imported on first use, so that `pock --help` does not wait for the compiler.
_HOMES = {
    "SGD": "pock_ir.passes.optimizer",
    "Adam": "pock_ir.passes.optimizer",
    "AdamW": "pock_ir.passes.optimizer",
    "Job": "pock.compiler",
    "Lion": "pock_ir.passes.optimizer",
    "compile": "pock.compiler",
    "load_program": "pock.manifest",
    "PockError": "pock_ir.diagnostics",
    "Program": "pock.program",
    "Scheme": "pock_ir.passes.scheme_rules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pock' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
