"""Targets that are programmed in C: one small file per device, kernels shared by all.

Importing this package registers the devices: every module here that states a `TARGETS` tuple.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pock_ir.target import Target, register_target


def _load() -> None:
    for name in sorted(info.name for info in iter_modules(__path__) if not info.ispkg):
        module = import_module(f"{__name__}.{name}")
        targets: tuple[Target, ...] = getattr(module, "TARGETS", ())
        for target in targets:
            register_target(target)


_load()
