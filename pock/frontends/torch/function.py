"""Builds one function of the module from a captured model and its loss."""

from __future__ import annotations

from dataclasses import dataclass

from torch.export import ExportedProgram
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from pock.frontends.common.signature import Arguments, Constants, Result, Signature
from pock.frontends.torch.arguments import StoredTable, mutations
from pock.frontends.torch.graph import GraphImporter, Missing
from pock.frontends.torch.loss import Objective
from pock.frontends.torch.structure import Leaf
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.passes.signature import described


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


def build_function(spec: FunctionSpec, table: StoredTable, errors: DiagnosticCollector) -> FuncOp:
    """The function that `spec` describes; what cannot be imported is added to `errors`."""
    signature = Signature(
        {stored.name: (stored.kind, stored.type) for stored in table.tensors.values()},
        {leaf.name: leaf.type for leaf in spec.source.inputs},
        {leaf.name: leaf.type for leaf in spec.source.objective.targets},
    )
    arguments = Arguments(signature, Constants(frozenset(table.tensors)))
    return arguments.finish(spec.name, _results(spec, table, arguments, errors))


def _leaves(
    arguments: Arguments, table: StoredTable, bound: dict[str, str], kind: str, given: list[Leaf]
) -> dict[str, SSAValue]:
    """The placeholders of a graph: its stored tensors, and what the caller gives."""
    named = arguments.by_name
    stored = {node: named[table.tensors[name].kind, name] for node, name in bound.items()}
    return {**stored, **{leaf.node: named[kind, leaf.name] for leaf in given}}


def _results(
    spec: FunctionSpec, table: StoredTable, arguments: Arguments, errors: DiagnosticCollector
) -> list[Result]:
    """Import model and loss at the end of the arguments' block and return what is asked for."""
    source, objective = spec.source, spec.source.objective
    model = GraphImporter(
        source.program,
        arguments.block,
        _leaves(arguments, table, source.bound, "input", source.inputs),
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
    arguments: Arguments,
    model: GraphImporter,
    values: dict[str, SSAValue],
    errors: DiagnosticCollector,
) -> SSAValue:
    objective = spec.source.objective
    leaves = _leaves(arguments, table, spec.source.loss_bound, "target", objective.targets)
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
