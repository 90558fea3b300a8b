"""What tensors mean in pock: one module per op family, collected by scanning this package.

An op or attribute belongs to the dialect that its name starts with (`nn.relu` to `nn`). Adding a
class to a module is all there is to do; a new module is found as well.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects.arith import Arith
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.cf import Cf
from xdsl.dialects.func import Func
from xdsl.dialects.memref import MemRef
from xdsl.dialects.scf import Scf
from xdsl.dialects.vector import Vector
from xdsl.ir import Attribute, Dialect, Operation

from pock_ir.upstream import MATH

Class = TypeVar("Class", bound=Attribute | Operation)

UPSTREAM = (Builtin, Func, Arith, MATH, Scf, MemRef, Vector, Cf)
"""The dialects of xDSL that pock's IR uses."""


@cache
def _modules() -> tuple[ModuleType, ...]:
    """The modules of this package in alphabetical order."""
    names = sorted(info.name for info in iter_modules(__path__))
    return tuple(import_module(f"{__name__}.{name}") for name in names)


def _defined(module: ModuleType, base: type[Class]) -> list[type[Class]]:
    """The named subclasses of `base` that `module` itself defines, in order of definition."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, base)
        and item.__module__ == module.__name__
        and "." in getattr(item, "name", "")
    ]


@cache
def all_ops() -> tuple[type[Operation], ...]:
    """Every op of every pock dialect, by module and order of definition."""
    return tuple(op for module in _modules() for op in _defined(module, Operation))


@cache
def all_attributes() -> tuple[type[Attribute], ...]:
    """Every attribute of every pock dialect, by module and order of definition."""
    return tuple(item for module in _modules() for item in _defined(module, Attribute))


def _family(item: type[Attribute] | type[Operation]) -> str:
    return item.name.split(".", 1)[0]


@cache
def all_dialects() -> tuple[Dialect, ...]:
    """pock's own dialects by name; raises ValueError if two ops or attributes share a name."""
    names = [item.name for item in (*all_ops(), *all_attributes())]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"defined twice: {', '.join(twice)}")
    families = sorted({name.split(".", 1)[0] for name in names})
    return tuple(
        Dialect(
            family,
            [op for op in all_ops() if _family(op) == family],
            [item for item in all_attributes() if _family(item) == family],
        )
        for family in families
    )


def make_context() -> Context:
    """A context that knows every dialect of every level, for parsing and passes."""
    context = Context()
    for dialect in (*UPSTREAM, *all_dialects()):
        context.load_dialect(dialect)
    return context
