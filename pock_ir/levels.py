"""Levels of the IR, each an executable statement of what is legal at it.

A level is a value that says for an op, and for the type of a value, why it is not legal. The
check runs on a whole module and reports everything at once. The concrete levels are declared
with the dialects, in `dialects.levels`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import cast

from xdsl.dialects.builtin import MemRefType, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from pock_ir.diagnostics import DiagnosticCollector, PockError, quote
from pock_ir.location import location_of, name_of
from pock_ir.types import is_supported_element

LEVEL_ATTRIBUTE = "pock.level"
"""The module attribute that names the module's level."""


@dataclass(frozen=True)
class Level:
    """One level.

    description: one line for people. op_problem, type_problem: why an op (its regions are asked
    separately) or a value's type is not legal, as the end of a sentence; None if it is.
    """

    name: str
    description: str
    op_problem: Callable[[Operation], str | None]
    type_problem: Callable[[Attribute], str | None]

    def is_legal(self, op: Operation) -> str | None:
        """Why `op`, or the type of one of its results or block arguments, is not legal, or None."""
        return next(self.problems(op), None)

    def problems(self, op: Operation) -> Iterator[str]:
        """Each reason why `op`, without the ops inside it, is not legal."""
        problem = self.op_problem(op)
        if problem is not None:
            yield f"{name_of(op)} {problem}"
            return
        for type in _types(op):
            problem = self.type_problem(type)
            if problem is not None:
                yield f"{name_of(op)}: type {type} {problem}"


def _types(op: Operation) -> Iterator[Attribute]:
    """The distinct types of the values that `op` defines; for a function also what it returns."""
    types = dict.fromkeys(result.type for result in op.results)
    if isinstance(op, FuncOp):
        types.update(dict.fromkeys(op.function_type.outputs.data))
    for region in op.regions:
        for block in region.blocks:
            types.update(dict.fromkeys(argument.type for argument in block.args))
    yield from types


def shaped_problem(type: Attribute) -> str | None:
    """Why a tensor or buffer type is not one that pock carries, or None.

    Legal are static shapes with at least one element, of an element type in `types.DTYPES`.
    """
    if not isinstance(type, TensorType | MemRefType):
        return "is neither a tensor nor a buffer"
    shaped = cast("TensorType[Attribute] | MemRefType[Attribute]", type)
    if not is_supported_element(shaped.element_type):
        return "has an unsupported element type"
    shape = shaped.get_shape()
    if any(size < 0 for size in shape):
        return "has a shape that is not static"
    return None if prod(shape) else "has no elements"


def level_name_of(module: ModuleOp) -> str:
    """The level that `module` names. Raises PockError if it names none."""
    attribute = module.attributes.get(LEVEL_ATTRIBUTE)
    if not isinstance(attribute, StringAttr):
        raise PockError(f"the module names no level in its attribute {LEVEL_ATTRIBUTE}")
    return attribute.data


def check_level(module: ModuleOp, level: Level) -> None:
    """Raise PockError with everything in `module` that is not legal at `level`, with locations.

    The module must name this level in its attribute `pock.level`. Linear in the size of `module`.
    """
    errors = DiagnosticCollector()
    named = level_name_of(module)
    if named != level.name:
        errors.add(f"the module is at level {quote(named)}, not {quote(level.name)}")
    for op in module.walk():
        if op is module:
            continue
        for problem in level.problems(op):
            errors.add(f"{problem} at level {level.name}", location_of(op))
    errors.raise_if_any()
