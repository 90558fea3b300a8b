"""Arguments that are stored with the program: the same tensor in every function that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument
from xdsl.rewriter import Rewriter

from pock_ir.op import ints
from pock_ir.passes.signature import (
    argument_attribute,
    argument_attributes,
    kind_of,
    name_of,
    set_argument_attribute,
)
from pock_ir.types import dtype_of, shape_of, tensor

STORED_KINDS = ("parameter", "buffer", "constant")

PERMUTE = "pock.permute"
"""The stored tensor is the framework's tensor transposed by this permutation."""


@dataclass
class StoredArgument:
    """One stored tensor and the argument that it is in each function."""

    kind: str
    name: str
    functions: list[FuncOp] = field(default_factory=list[FuncOp])
    values: list[BlockArgument] = field(default_factory=list[BlockArgument])


def stored_arguments(module: ModuleOp) -> list[StoredArgument]:
    """The stored arguments of all functions, in order of first appearance."""
    found: dict[tuple[str, str], StoredArgument] = {}
    for function in module.ops:
        if not isinstance(function, FuncOp):
            continue
        attributes = argument_attributes(function)
        for value, entry in zip(function.body.block.args, attributes, strict=True):
            kind, name = kind_of(entry), name_of(entry)
            if kind in STORED_KINDS and name:
                item = found.setdefault((kind, name), StoredArgument(kind, name))
                item.functions.append(function)
                item.values.append(value)
    return list(found.values())


def permute_stored(argument: StoredArgument, permutation: Sequence[int]) -> None:
    """Store the tensor transposed by `permutation`, on top of what was stored before.

    Changes types and attributes only: the caller adapts the users.
    """
    for function, value in zip(argument.functions, argument.values, strict=True):
        shape = [shape_of(value)[axis] for axis in permutation]
        index = value.index
        Rewriter.replace_value_with_new_type(value, tensor(shape, dtype_of(value).name))
        before = argument_attribute(function, index, PERMUTE)
        old = tuple(range(len(shape))) if before is None else ints(before)
        order = [old[axis] for axis in permutation]
        set_argument_attribute(function, index, PERMUTE, DenseArrayBase.from_list(i64, order))
        function.update_function_type()
