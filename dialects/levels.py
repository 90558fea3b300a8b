"""The levels of pock's IR, in the order in which a program goes through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from xdsl.dialects.builtin import IndexType, MemRefType, ModuleOp, TensorType, VectorType, i8
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.levels import Level, check_level, level_name_of, shaped_problem
from pock_ir.location import name_of
from pock_ir.types import is_supported_element

Problem = Callable[[Attribute], str | None]

FUNCTIONS = ("func.func", "func.return")
"""One block per function, no calls: a program is a set of straight-line functions."""

CALL = "func.call"
"""Loops call functions of the run-time library, which are declared without a body."""

KERNEL_INSIDE = ("nn.", "train.", "kern.yield")
"""What the body of a kernel may say."""


TENSORS: tuple[type[Attribute], ...] = (TensorType,)
BUFFERS: tuple[type[Attribute], ...] = (MemRefType,)


def tensors_only(type: Attribute) -> str | None:
    """Values are tensors."""
    return shaped_problem(type) if isinstance(type, TENSORS) else "is not a tensor"


def buffers_only(type: Attribute) -> str | None:
    """Values are buffers; the bodies of kernels still speak of tensors.

    A region of memory that the program does not need is a buffer of no bytes.
    """
    if not isinstance(type, TENSORS + BUFFERS):
        return "is neither a tensor nor a buffer"
    if type == MemRefType(i8, [0]):
        return None
    return shaped_problem(type)


def buffers_and_scalars(type: Attribute) -> str | None:
    """Values are buffers, vectors of a supported element type, indices and scalars."""
    if isinstance(type, BUFFERS):
        return buffers_only(type)
    is_vector = isinstance(type, VectorType)
    element = cast("VectorType[Attribute]", type).element_type if is_vector else type
    known = isinstance(element, IndexType) or is_supported_element(element)
    return None if known else "is neither a buffer, a vector, an index nor a number"


@dataclass(frozen=True)
class Row:
    """What is legal at one level.

    ops: names of ops, or prefixes that end in a dot, directly in functions and the module.
    inside: by name of an op with a region, what is legal in it instead; regions of other ops hold
    what their surroundings hold.
    """

    name: str
    description: str
    ops: tuple[str, ...]
    types: Problem
    inside: Mapping[str, tuple[str, ...]]


ROWS = (
    Row(
        "nn",
        "the model: forward functions on tensors",
        (*FUNCTIONS, "nn."),
        tensors_only,
        {},
    ),
    Row(
        "train",
        "one step of training: forward, backward and update on tensors",
        (*FUNCTIONS, "nn.", "train."),
        tensors_only,
        {},
    ),
    Row(
        "kern",
        "the same step as a sequence of kernels; what stays outside is a view or a constant",
        (*FUNCTIONS, "kern.call", "nn.reshape", "nn.constant"),
        tensors_only,
        {"kern.call": KERNEL_INSIDE},
    ),
    Row(
        "mem",
        "kernels on buffers at fixed places in memory",
        (*FUNCTIONS, "mem."),
        buffers_only,
        {"mem.kernel": ("kern.call", "kern.yield"), "kern.call": KERNEL_INSIDE},
    ),
    Row(
        "loops",
        "kernels as loops over scalars and vectors",
        (*FUNCTIONS, CALL, "mem.", "scf.", "arith.", "math.", "memref.", "vector."),
        buffers_and_scalars,
        {},
    ),
)


def _allowed(row: Row, op: Operation) -> tuple[str, ...]:
    """The names that are legal where `op` stands: those of the nearest region with its own."""
    parent = op.parent_op()
    while parent is not None:
        if parent.name in row.inside:
            return row.inside[parent.name]
        parent = parent.parent_op()
    return row.ops


def _op_problem(row: Row, op: Operation) -> str | None:
    name = name_of(op)
    if not any(name == legal or _is_prefix(legal, name) for legal in _allowed(row, op)):
        return "is not legal"
    declared = isinstance(op, FuncOp) and not op.body.blocks and CALL in row.ops
    if isinstance(op, FuncOp) and len(op.body.blocks) != 1 and not declared:
        return "without exactly one block is not legal"
    return None


def _is_prefix(legal: str, name: str) -> bool:
    return legal.endswith(".") and name.startswith(legal)


def _level(row: Row) -> Level:
    return Level(row.name, row.description, lambda op: _op_problem(row, op), row.types)


LEVELS: tuple[Level, ...] = tuple(_level(row) for row in ROWS)


def level_named(name: str) -> Level:
    """The level called `name`; raises PockError that lists the levels if there is none."""
    for level in LEVELS:
        if level.name == name:
            return level
    known = ", ".join(level.name for level in LEVELS)
    raise PockError(Diagnostic(f"unknown level {quote(name)}", help=f"known: {known}"))


def check_named_level(module: ModuleOp, name: str) -> None:
    """Check that `module` is at the level called `name`. Raises PockError, see `check_level`."""
    check_level(module, level_named(name))


def check_own_level(module: ModuleOp) -> None:
    """Check that `module` is at the level that it names. Raises PockError, see `check_level`."""
    check_named_level(module, level_name_of(module))
