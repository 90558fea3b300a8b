"""Builds one function of the module from a captured model and its loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch.export import ExportedProgram
from xdsl.dialects.builtin import UNKNOWN_LOC, ArrayAttr, DictionaryAttr, NameLoc, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, BlockArgument, Region, SSAValue

from pock.frontends.torch.arguments import BUFFER, CONSTANT, PARAMETER, StoredTable, mutations
from pock.frontends.torch.graph import GraphImporter, Missing
from pock.frontends.torch.loss import Objective
from pock.frontends.torch.structure import Leaf
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.passes.signature import Attributes, described
from pock_ir.passes.simplify import erase_dead_ops
from pock_ir.types import Tensor, tensor

Result = tuple[SSAValue, Attributes]


@dataclass(frozen=True)
class Source:
    """A model in one mode, and its loss, with the framework names of their stored tensors."""

    program: ExportedProgram
    bound: dict[str, str]
    inputs: list[Leaf]
    objective: Objective
    loss_bound: dict[str, str]


@dataclass(frozen=True)
class FunctionSpec:
    """What a function returns, in this order: the loss, outputs of the model, updated buffers."""

    name: str
    source: Source
    loss: bool
    outputs: bool
    updates: bool


class _Arguments:
    """The arguments that a function may need, in the order of the signature.

    All are made first; those that nothing uses are dropped when the body is complete.
    """

    def __init__(self, spec: FunctionSpec, table: StoredTable) -> None:
        self.entries: list[Attributes] = []
        self.by_name: dict[tuple[str, str], BlockArgument] = {}
        self.block = Block()
        for kind in (PARAMETER, BUFFER, CONSTANT):
            for stored in table.tensors.values():
                if stored.kind == kind:
                    self._add(kind, stored.name, stored.type)
        for leaf in spec.source.inputs:
            self._add("input", leaf.name, leaf.type)
        for leaf in spec.source.objective.targets:
            self._add("target", leaf.name, leaf.type)
        for kind in ("step", "seed"):
            self._add(kind, kind, tensor((), "i32"))

    def _add(self, kind: str, name: str, type: Tensor) -> None:
        argument = self.block.insert_arg(type, len(self.block.args))
        hint = name.replace(".", "_")
        argument.name_hint = hint if SSAValue.is_valid_name(hint) else kind
        self.entries.append(described(kind, name))
        self.by_name[kind, name] = argument

    def key(self) -> tuple[SSAValue, SSAValue]:
        """seed and step."""
        return self.by_name["seed", "seed"], self.by_name["step", "step"]

    def leaves(
        self, table: StoredTable, bound: dict[str, str], kind: str, given: list[Leaf]
    ) -> dict[str, SSAValue]:
        """The placeholders of a graph: its stored tensors, and what the caller gives."""
        stored = {node: self.stored(table, name) for node, name in bound.items()}
        return {**stored, **{leaf.node: self.by_name[kind, leaf.name] for leaf in given}}

    def stored(self, table: StoredTable, name: str) -> BlockArgument:
        """The argument of a stored tensor."""
        return self.by_name[table.tensors[name].kind, name]

    def drop_unused(self) -> None:
        """Erase the arguments that nothing uses."""
        kept = [argument.first_use is not None for argument in self.block.args]
        self.entries = [entry for entry, keep in zip(self.entries, kept, strict=True) if keep]
        for argument, keep in reversed(list(zip(self.block.args, kept, strict=True))):
            if not keep:
                self.block.erase_arg(argument)


def build_function(spec: FunctionSpec, table: StoredTable, errors: DiagnosticCollector) -> FuncOp:
    """The function that `spec` describes; what cannot be imported is added to `errors`."""
    arguments = _Arguments(spec, table)
    results = _results(spec, table, arguments, errors)
    location = NameLoc(StringAttr(spec.name), UNKNOWN_LOC)
    end = ReturnOp(*(value for value, _ in results))
    end.location = location
    arguments.block.add_op(end)
    erase_dead_ops(arguments.block)
    arguments.drop_unused()
    types = [value.type for value, _ in results]
    function = FuncOp(
        spec.name,
        ([argument.type for argument in arguments.block.args], types),
        Region(arguments.block),
        arg_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for entry in arguments.entries),
        res_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for _, entry in results),
    )
    function.location = location
    return function


def _results(
    spec: FunctionSpec, table: StoredTable, arguments: _Arguments, errors: DiagnosticCollector
) -> list[Result]:
    """Import model and loss at the end of the arguments' block and return what is asked for."""
    source, objective = spec.source, spec.source.objective
    model = GraphImporter(
        source.program,
        arguments.block,
        arguments.leaves(table, source.bound, "input", source.inputs),
        arguments.key,
        errors,
    )
    updated = mutations(source.program) if spec.updates else []
    returned = objective.outputs if spec.outputs else objective.fed
    nodes = [*(leaf.node for leaf in returned), *(node for node, _ in updated)]
    values = dict(zip(nodes, model.run(nodes), strict=True))
    results: list[Result] = []
    if spec.loss:
        loss = _import_loss(spec, table, arguments, model, values, errors)
        results.append((loss, described("loss", "loss")))
    if spec.outputs:
        results += [(values[leaf.node], described("output", leaf.name)) for leaf in returned]
    # A tied buffer is written under the name of its one argument.
    results += [
        (values[node], described("update", table.aliases.get(name, name))) for node, name in updated
    ]
    # What could not be imported has been reported; the function is thrown away.
    return [(value, entry) for value, entry in results if not isinstance(value, Missing)]


def _import_loss(
    spec: FunctionSpec,
    table: StoredTable,
    arguments: _Arguments,
    model: GraphImporter,
    values: dict[str, SSAValue],
    errors: DiagnosticCollector,
) -> SSAValue:
    objective = spec.source.objective
    leaves = arguments.leaves(table, spec.source.loss_bound, "target", objective.targets)
    fed = zip(objective.inputs, (values[leaf.node] for leaf in objective.fed), strict=False)
    importer = GraphImporter(
        objective.program,
        arguments.block,
        {**leaves, **dict(fed)},
        arguments.key,
        errors,
        first_stream=model.streams,
        name="loss",
        frame=objective.frame,
    )
    return importer.run([objective.result])[0]
