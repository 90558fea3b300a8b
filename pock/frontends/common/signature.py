"""The arguments of an imported function, in the order that every program has, and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    ArrayAttr,
    DictionaryAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, BlockArgument, Region, SSAValue

from pock.frontends.common.refusal import Refusal
from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.passes.signature import Attributes, argument_attributes, described, kind_of, name_of
from pock_ir.passes.simplify import erase_dead_ops
from pock_ir.types import Array, Tensor, dtype_of, dtype_of_numpy, tensor

PARAMETER, BUFFER, CONSTANT = "parameter", "buffer", "constant"

Result = tuple[SSAValue, Attributes]


@dataclass
class Constants:
    """Data that functions carry beside the model's own, by name; equal data is stored once."""

    reserved: frozenset[str]
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])

    def name_of(self, array: Array) -> str:
        """The name under which `array` is stored."""
        for name, known in self.arrays.items():
            if _same(known, array):
                return name
        count = len(self.arrays)
        while (name := f"constant_{count}") in self.reserved:
            count += 1
        self.arrays[name] = array
        return name


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def checked_types(
    leaves: Mapping[str, Any],
    what: str,
    type_of: Callable[[Any], Tensor],
    errors: DiagnosticCollector,
) -> dict[str, Tensor]:
    """The tensor type of each leaf; one that `type_of` refuses is added to `errors`.

    what: the kind of the leaves, as in "input".
    """
    found: dict[str, Tensor] = {}
    for name, leaf in leaves.items():
        try:
            found[name] = type_of(leaf)
        except Refusal as refusal:
            errors.add(f"{what} {quote(name)}: {refusal}", help=refusal.help)
    return found


@dataclass(frozen=True)
class Signature:
    """The types of all arguments that functions may have, by name; of stored ones with a kind."""

    stored: Mapping[str, tuple[str, Tensor]]
    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]


def used_names(module: ModuleOp) -> set[str]:
    """The names of all that the functions of an imported module take."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    return {name_of(entry) for function in functions for entry in argument_attributes(function)}


def new_module(name: str) -> ModuleOp:
    """An empty module of level `nn`."""
    return ModuleOp([], {"pock.name": StringAttr(name), "pock.level": StringAttr("nn")})


class Arguments:
    """The arguments of one function; those that it neither reads nor updates are dropped."""

    def __init__(self, signature: Signature, constants: Constants) -> None:
        self.block = Block()
        self.by_name: dict[tuple[str, str], BlockArgument] = {}
        self._entries: list[Attributes] = []
        self._constants = constants
        for kind in (PARAMETER, BUFFER, CONSTANT):
            for name, (found, type) in signature.stored.items():
                if found == kind:
                    self._add(kind, name, type)
        self._first_given = len(self.by_name)
        for kind, given in (("input", signature.inputs), ("target", signature.targets)):
            for name, type in given.items():
                self._add(kind, name, type)
        for kind in ("step", "seed"):
            self._add(kind, kind, tensor((), "i32"))

    def _add(self, kind: str, name: str, type: Tensor, place: int | None = None) -> BlockArgument:
        place = len(self.block.args) if place is None else place
        argument = self.block.insert_arg(type, place)
        hint = name.replace("/", "_").replace(".", "_")
        argument.name_hint = hint if SSAValue.is_valid_name(hint) else kind
        self._entries.insert(place, described(kind, name))
        self.by_name[kind, name] = argument
        return argument

    def key(self) -> tuple[SSAValue, SSAValue]:
        """seed and step."""
        return self.by_name["seed", "seed"], self.by_name["step", "step"]

    def trainable(self) -> frozenset[BlockArgument]:
        """The parameters that gradients are taken for: those of floats."""
        parameters = (a for (kind, _), a in self.by_name.items() if kind == PARAMETER)
        return frozenset(a for a in parameters if dtype_of(a).is_float)

    def constant(self, array: Array) -> SSAValue:
        """The argument for data that the program carries, behind parameters and buffers."""
        name = self._constants.name_of(array)
        found = self.by_name.get((CONSTANT, name))
        if found is not None:
            return found
        place, self._first_given = self._first_given, self._first_given + 1
        type = tensor(array.shape, dtype_of_numpy(array.dtype).name)
        return self._add(CONSTANT, name, type, place)

    def finish(self, name: str, results: Sequence[Result]) -> FuncOp:
        """The function called `name` with these results, without what they do not need."""
        location = NameLoc(StringAttr(name), UNKNOWN_LOC)
        end = ReturnOp(*(value for value, _ in results))
        end.location = location
        self.block.add_op(end)
        erase_dead_ops(self.block)
        self._drop_unused({name_of(entry) for _, entry in results if kind_of(entry) == "update"})
        function = FuncOp(
            name,
            ([a.type for a in self.block.args], [value.type for value, _ in results]),
            Region(self.block),
            arg_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for entry in self._entries),
            res_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for _, entry in results),
        )
        function.location = location
        return function

    def _drop_unused(self, updated: Set[str]) -> None:
        """Erase what nothing reads; a stored tensor that is only written stays."""
        kept = [
            argument.first_use is not None or name_of(entry) in updated
            for argument, entry in zip(self.block.args, self._entries, strict=True)
        ]
        pairs = zip(self._entries, kept, strict=True)
        self._entries = [entry for entry, keep in pairs if keep]
        for argument, keep in reversed(list(zip(self.block.args, kept, strict=True))):
            if not keep:
                self.block.erase_arg(argument)
