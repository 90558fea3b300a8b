"""Builds one function of the module from a traced one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xdsl.dialects.builtin import UNKNOWN_LOC, ArrayAttr, DictionaryAttr, NameLoc, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, BlockArgument, Region, SSAValue

from pock.frontends.jax.capture import Traced
from pock.frontends.jax.graph import GraphImporter
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.values import KEY, MISSING
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.passes.signature import Attributes, described
from pock_ir.passes.simplify import erase_dead_ops
from pock_ir.types import Array, Tensor, dtype_of, dtype_of_numpy, tensor

PARAMETER, BUFFER, CONSTANT = "parameter", "buffer", "constant"


@dataclass
class Constants:
    """Data that functions carry beside the model's own, by name; equal data is stored once."""

    reserved: frozenset[str]
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])

    def name_of(self, array: Array) -> str:
        """The name under which `array` is stored."""
        for name, known in self.arrays.items():
            alike = known.dtype == array.dtype and known.shape == array.shape
            if alike and known.tobytes() == array.tobytes():
                return name
        count = len(self.arrays)
        name = f"constant_{count}"
        while name in self.reserved:
            count += 1
            name = f"constant_{count}"
        self.arrays[name] = array
        return name


@dataclass(frozen=True)
class Signature:
    """The types of all arguments that functions may have, by name and kind."""

    stored: Mapping[str, tuple[str, Tensor]]
    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]


class _Arguments:
    """The arguments of one function; those that nothing uses are dropped at the end."""

    def __init__(self, signature: Signature, constants: Constants) -> None:
        self.block = Block()
        self.entries: list[Attributes] = []
        self.by_name: dict[tuple[str, str], BlockArgument] = {}
        self._constants = constants
        for kind in (PARAMETER, BUFFER):
            for name, (found, type) in signature.stored.items():
                if found == kind:
                    self._add(kind, name, type)
        for kind, given in (("input", signature.inputs), ("target", signature.targets)):
            for name, type in given.items():
                self._add(kind, name, type)
        for kind in ("step", "seed"):
            self._add(kind, kind, tensor((), "i32"))
        self._first_given = sum(kind in (PARAMETER, BUFFER) for kind, _ in self.by_name)

    def _add(self, kind: str, name: str, type: Tensor, place: int | None = None) -> BlockArgument:
        place = len(self.block.args) if place is None else place
        argument = self.block.insert_arg(type, place)
        hint = name.replace("/", "_").replace(".", "_")
        argument.name_hint = hint if SSAValue.is_valid_name(hint) else kind
        self.entries.insert(place, described(kind, name))
        self.by_name[kind, name] = argument
        return argument

    def key(self) -> tuple[SSAValue, SSAValue]:
        """seed and step."""
        return self.by_name["seed", "seed"], self.by_name["step", "step"]

    def constant(self, array: Array) -> SSAValue:
        """The argument for data that the program carries, behind parameters and buffers."""
        name = self._constants.name_of(array)
        found = self.by_name.get((CONSTANT, name))
        if found is not None:
            return found
        place, self._first_given = self._first_given, self._first_given + 1
        type = tensor(array.shape, dtype_of_numpy(array.dtype).name)
        return self._add(CONSTANT, name, type, place)

    def drop_unused(self) -> None:
        """Erase the arguments that nothing uses."""
        kept = [argument.first_use is not None for argument in self.block.args]
        self.entries = [entry for entry, keep in zip(self.entries, kept, strict=True) if keep]
        for argument, keep in reversed(list(zip(self.block.args, kept, strict=True))):
            if not keep:
                self.block.erase_arg(argument)


def build_function(
    name: str,
    traced: Traced,
    signature: Signature,
    constants: Constants,
    markers: Markers,
    errors: DiagnosticCollector,
) -> FuncOp:
    """The function that was traced; what cannot be imported is added to `errors`."""
    arguments = _Arguments(signature, constants)
    is_training = name == "train"
    given = [
        *(arguments.by_name[kind, n] for n, (kind, _) in signature.stored.items()),
        *(arguments.by_name["input", n] for n in signature.inputs),
        *(arguments.by_name["target", n] for n in signature.targets),
        *([KEY] if traced.has_key else []),
    ]
    trained = [a for (kind, _), a in arguments.by_name.items() if kind == PARAMETER]
    importer = GraphImporter(
        arguments.block,
        arguments.constant,
        frozenset(a for a in trained if is_training and dtype_of(a).is_float),
        arguments.key if is_training else None,
        markers,
        errors,
    )
    losses = [kind == "loss" for kind, _ in traced.results]
    values = importer.run(traced.jaxpr, given, traced.wanted, losses)
    pairs = zip(values, traced.results, strict=True)
    results = [(value, described(*entry)) for value, entry in pairs if value is not MISSING]
    return _function(name, arguments, results)


def _function(
    name: str, arguments: _Arguments, results: list[tuple[SSAValue, Attributes]]
) -> FuncOp:
    location = NameLoc(StringAttr(name), UNKNOWN_LOC)
    end = ReturnOp(*(value for value, _ in results))
    end.location = location
    arguments.block.add_op(end)
    erase_dead_ops(arguments.block)
    arguments.drop_unused()
    function = FuncOp(
        name,
        ([a.type for a in arguments.block.args], [value.type for value, _ in results]),
        Region(arguments.block),
        arg_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for entry in arguments.entries),
        res_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for _, entry in results),
    )
    function.location = location
    return function
