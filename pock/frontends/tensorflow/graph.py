"""Imports one graph into a block: walks its nodes and asks the table for each.

What cannot be imported is collected, and a constant of the right type takes its place, so that
the rest of the graph is examined too: a user sees all that is unsupported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.known import Known
from pock.frontends.common.refusal import NotInTable, Refusal, report
from pock.frontends.common.steps import splat
from pock.frontends.common.values import MISSING, Missing
from pock.frontends.tensorflow.bodies import UNIFORM, draws, needed_nodes, sources_of
from pock.frontends.tensorflow.control import CONTROL
from pock.frontends.tensorflow.known import evaluated, given
from pock.frontends.tensorflow.lists import LISTS
from pock.frontends.tensorflow.random import Uniform, of_uniform
from pock.frontends.tensorflow.run_node import constant_array
from pock.frontends.tensorflow.source import node_location
from pock.frontends.tensorflow.state import STATE
from pock.frontends.tensorflow.structure import tensor_type_of
from pock.frontends.tensorflow.table import handlers
from pock.frontends.tensorflow.values import UNUSABLE, Values, describe
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.location import describe_location

SPECIAL = frozenset((*CONTROL, *STATE, *LISTS, *UNIFORM, "Const", "NoOp", "Placeholder", "Assert"))
"""Nodes that the importer deals with itself, or that compute nothing."""


class GraphImporter:
    """Imports the nodes of one function, whose values are `values`."""

    def __init__(self, values: Values, errors: DiagnosticCollector) -> None:
        self.values = values
        self.emit = values.emit
        self._errors = errors

    def run(
        self,
        graph: Any,
        values: Mapping[str, Any],
        wanted: Sequence[Any],
        loss: Any | None,
        ignored: Collection[str],
    ) -> list[Any]:
        """Import what the tensors in `wanted`, and all assignments, depend on.

        values: those of the graph's inputs, by name. loss: the tensor that gradients are taken of.
        ignored: inputs whose assignments do not count. What could not be imported is Missing.
        """
        differentiated = needed_nodes(graph, [] if loss is None else [loss], False)
        results = self.body(graph, values, wanted, None, differentiated, ignored)
        return [self._result(value) for value in results]

    def _result(self, value: Any) -> Any:
        try:
            return MISSING if value is MISSING else self.values.tensor(value)
        except Refusal as refusal:
            self._errors.add(str(refusal), None, refusal.help)
            return MISSING

    def body(
        self,
        graph: Any,
        values: Mapping[str, Any],
        wanted: Sequence[Any],
        place: LocationAttr | None,
        differentiated: Collection[str] | None = None,
        ignored: Collection[str] = (),
    ) -> list[Any]:
        """Import a graph. place: where it is called, for nodes without a line of their own.

        differentiated: the nodes that gradients pass; None: all if they pass the caller.
        """
        held = dict(values)
        needed = needed_nodes(graph, wanted, True, ignored)
        for node in graph.get_operations():
            if node.name not in needed or (node.outputs and node.outputs[0].name in held):
                continue
            self.emit.location = node_location(node, place)
            if differentiated is not None:
                self.values.has_gradient = node.name in differentiated
            operands = [held[source.name] for source in sources_of(node)]
            results = self._import(node, operands)
            pairs = zip(node.outputs, results, strict=True)
            held.update((output.name, value) for output, value in pairs)
        return [held[output.name] for output in wanted]

    def _import(self, node: Any, operands: list[Any]) -> Sequence[Any]:
        if any(value is MISSING for value in operands):
            return self._placeholders(node)
        if any(value is UNUSABLE for value in operands):
            return self._refuse(node, Refusal("an operand is a result that cannot be used"))
        try:
            return self._imported(node, operands)
        except Refusal as refusal:
            return self._refuse(node, refusal)
        except VerifyException as error:
            return self._refuse(node, Refusal(str(error)))

    def _imported(self, node: Any, operands: list[Any]) -> Sequence[Any]:
        for table in (CONTROL, STATE, LISTS):
            if node.type in table:
                return table[node.type](self, node, operands)
        if node.type == "Const":
            return [given(constant_array(node))]
        if draws(node):
            return [self.values.drawn(node)]
        if any(isinstance(value, Uniform) for value in operands):
            return [of_uniform(self.values.call(node, operands))]
        is_known = all(isinstance(value, Known) for value in operands)
        if is_known and not node.op_def.is_stateful:
            return evaluated(node, operands)
        handler = handlers().get(node.type)
        if handler is None:
            raise NotInTable
        return self.values.handled(handler, node, operands)

    # What could not be imported.

    def _refuse(self, node: Any, refusal: Refusal) -> Sequence[Any]:
        """Remember why `node` cannot be imported."""
        shown = ", ".join(describe(source) for source in node.inputs)
        report(self._errors, node.type, shown, describe_location(self.emit.location), refusal)
        return self._placeholders(node)

    def _placeholders(self, node: Any) -> Sequence[Any]:
        """Constants of the types of the results, to go on with."""
        return [self._placeholder(output) for output in node.outputs]

    def _placeholder(self, output: Any) -> SSAValue | Missing:
        try:
            return splat(self.emit, 0, tensor_type_of(output.shape, output.dtype))
        except Refusal:
            return MISSING
