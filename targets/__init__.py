"""Devices: one folder each. Importing this package registers every target that pock knows."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def _load() -> None:
    for name in sorted(info.name for info in iter_modules(__path__) if info.ispkg):
        import_module(f"{__name__}.{name}")


_load()
