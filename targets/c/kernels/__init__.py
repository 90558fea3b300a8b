"""The kernels of the C targets: every `Kernel` that a module of this package defines."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules

from pock_ir.target import Kernel


def _defined_in(name: str) -> list[Kernel]:
    members = vars(import_module(name)).values()
    kinds = [kind for kind in members if isinstance(kind, type) and issubclass(kind, Kernel)]
    return [kind() for kind in kinds if kind.__module__ == name and not isabstract(kind)]


@cache
def all_kernels() -> tuple[Kernel, ...]:
    """One instance of each kernel, by name. Raises ValueError if two have the same name."""
    modules = sorted(info.name for info in iter_modules(__path__))
    kernels = [kernel for module in modules for kernel in _defined_in(f"{__name__}.{module}")]
    names = [kernel.name for kernel in kernels]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two kernels are called {', '.join(repeated)}")
    return tuple(sorted(kernels, key=lambda kernel: kernel.name))
