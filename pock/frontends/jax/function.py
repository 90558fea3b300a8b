"""Builds one function of the module from a traced one."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp

from pock.frontends.common.signature import Arguments, Constants, Signature
from pock.frontends.common.values import MISSING
from pock.frontends.jax.capture import Traced
from pock.frontends.jax.graph import GraphImporter
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.values import KEY, Values
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.passes.signature import described


def build_function(
    name: str,
    traced: Traced,
    signature: Signature,
    constants: Constants,
    markers: Markers,
    errors: DiagnosticCollector,
) -> FuncOp:
    """The function that was traced; what cannot be imported is added to `errors`."""
    arguments = Arguments(signature, constants)
    given = [
        *(arguments.by_name[kind, n] for n, (kind, _) in signature.stored.items()),
        *(arguments.by_name["input", n] for n in signature.inputs),
        *(arguments.by_name["target", n] for n in signature.targets),
        *([KEY] if traced.has_key else []),
    ]
    importer = GraphImporter(Values(arguments, name == "train"), markers, errors)
    losses = [kind == "loss" for kind, _ in traced.results]
    values = importer.run(traced.jaxpr, given, traced.wanted, losses)
    pairs = zip(values, traced.results, strict=True)
    results = [(value, described(*entry)) for value, entry in pairs if value is not MISSING]
    return arguments.finish(name, results)
