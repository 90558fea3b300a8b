"""Builds one function of the module from a traced graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from pock.frontends.common.signature import BUFFER, Arguments, Constants, Signature
from pock.frontends.common.values import MISSING
from pock.frontends.tensorflow.bodies import seed_inputs
from pock.frontends.tensorflow.capture import Traced
from pock.frontends.tensorflow.graph import GraphImporter
from pock.frontends.tensorflow.known import given
from pock.frontends.tensorflow.model import Variable
from pock.frontends.tensorflow.state import Handle
from pock.frontends.tensorflow.values import Values
from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.passes.signature import described


class Resource:
    """Something captured that is neither a variable nor data, such as a table of words."""


def build_function(
    name: str,
    traced: Traced,
    variables: Mapping[int, Variable],
    signature: Signature,
    constants: Constants,
    errors: DiagnosticCollector,
) -> FuncOp:
    """@train, @eval or @infer of a graph; what cannot be imported is added to `errors`.

    variables: those that the graph may capture, by the id of their handle.
    """
    arguments = Arguments(signature, constants)
    is_training = name == "train"
    held = {n: arguments.by_name[kind, n] for n, (kind, _) in signature.stored.items()}
    importer = GraphImporter(Values(arguments, is_training, held), errors)
    wanted = _wanted(name, traced)
    values = importer.run(
        traced.graph,
        _inputs(traced, variables, signature, arguments),
        [tensor for _, _, tensor in wanted],
        traced.loss if is_training else None,
        ignored_states(traced),
    )
    results = [
        (value, described(kind, result))
        for (kind, result, _), value in zip(wanted, values, strict=True)
        if value is not MISSING
    ]
    if is_training:
        results += _updates(importer, held, signature, errors)
    return arguments.finish(name, results)


def _wanted(name: str, traced: Traced) -> list[tuple[str, str, Any]]:
    """(kind, name, tensor) of what the function returns besides updates."""
    loss = [("loss", "loss", traced.loss)]
    outputs = [("output", key, tensor) for key, tensor in traced.outputs.items()]
    return {"train": loss, "eval": loss + outputs, "infer": outputs}[name]


def _inputs(
    traced: Traced, variables: Mapping[int, Variable], signature: Signature, arguments: Arguments
) -> dict[str, Any]:
    """The values of the graph's inputs by name."""
    keys = [*(("input", n) for n in signature.inputs), *(("target", n) for n in signature.targets)]
    values: dict[str, Any] = {
        tensor.name: arguments.by_name[key]
        for tensor, key in zip(traced.arguments, keys, strict=True)
    }
    for outside, inside in traced.captures:
        values[inside.name] = _captured(outside, variables)
    return values


def _captured(outside: Any, variables: Mapping[int, Variable]) -> Any:
    variable = variables.get(id(outside))
    if variable is not None:
        return Handle(variable.name)
    return given(outside.numpy()) if hasattr(outside, "numpy") else Resource()


def ignored_states(traced: Traced) -> set[str]:
    """The graph's names of the states of random generators: the counter has none."""
    inputs = traced.graph.inputs
    return {inputs[i].name for i in seed_inputs(traced.graph) if inputs[i].dtype.name == "resource"}


def _updates(
    importer: GraphImporter,
    held: Mapping[str, SSAValue],
    signature: Signature,
    errors: DiagnosticCollector,
) -> list[tuple[SSAValue, Any]]:
    """The variables that were assigned."""
    changed = {n: v for n, v in importer.values.variables.items() if v is not held[n]}
    for name in changed:
        if signature.stored[name][0] != BUFFER:
            errors.add(
                f"the variable {quote(name)} is both trained and assigned",
                help="create it with trainable=False",
            )
    return [(value, described("update", name)) for name, value in changed.items()]
