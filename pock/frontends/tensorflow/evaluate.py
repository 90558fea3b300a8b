"""Running a traced graph with TensorFlow's kernels, but with pock's random numbers.

The graph is walked node by node and executed eagerly, so that a gradient tape records it, every
f32 can be f64, and draws come from pock's counter. What is walked, and in which order draws are
counted, is what the importer imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from pock.frontends.tensorflow.bodies import (
    BRANCHES,
    CALLS,
    LOOPS,
    bodies_of,
    draws,
    needed_nodes,
    sources_of,
)
from pock.frontends.tensorflow.capture import Traced
from pock.frontends.tensorflow.function import ignored_states
from pock.frontends.tensorflow.run_node import Runner, runner, widened
from pock.frontends.tensorflow.source import node_location
from pock.frontends.tensorflow.state import Handle
from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.location import describe_location

Draw = Callable[[tuple[int, ...], int], Any]
"""(shape, stream) -> random numbers from [0, 1)."""


class Evaluation:
    """A graph that can be run many times. double: with f64 in the place of f32."""

    def __init__(self, traced: Traced, names: Mapping[int, str], double: bool) -> None:
        self._traced = traced
        self._names = names
        self._double = double
        self._ignored = ignored_states(traced)
        self._needed: dict[tuple[int, bool], set[str]] = {}
        self._runners: dict[tuple[int, str], Runner] = {}
        self._draw: Draw = _no_draw
        self._streams = 0
        self.variables: dict[str, Any] = {}

    def loss(self, arguments: Sequence[Any], variables: Mapping[str, Any], draw: Draw) -> Any:
        """The loss of one batch; `variables` holds afterwards what the graph has assigned."""
        self.variables, self._draw, self._streams = dict(variables), draw, 0
        values = {t.name: v for t, v in zip(self._traced.arguments, arguments, strict=True)}
        for outside, inside in self._traced.captures:
            values[inside.name] = self._captured(outside)
        return self._body(self._traced.graph, values, [self._traced.loss])[0]

    def _captured(self, outside: Any) -> Any:
        if id(outside) in self._names:
            return Handle(self._names[id(outside)])
        if outside.dtype == tf.resource:
            return Handle("")
        return tf.cast(outside, widened(outside.dtype, self._double))

    def _body(self, graph: Any, values: dict[str, Any], wanted: Sequence[Any]) -> list[Any]:
        for node in graph.get_operations():
            if node.name not in self._needed_in(graph, wanted):
                continue
            if node.outputs and node.outputs[0].name in values:
                continue
            operands = [values[source.name] for source in sources_of(node)]
            results = self._run(node, operands)
            values.update((o.name, v) for o, v in zip(node.outputs, results, strict=True))
        return [values[tensor.name] for tensor in wanted]

    def _needed_in(self, graph: Any, wanted: Sequence[Any]) -> set[str]:
        is_main = graph is self._traced.graph
        key = (id(graph), is_main)
        if key not in self._needed:
            ignored = self._ignored if is_main else ()
            self._needed[key] = needed_nodes(graph, wanted, True, ignored)
        return self._needed[key]

    def _run(self, node: Any, operands: list[Any]) -> Sequence[Any]:
        if node.type in (*CALLS, *BRANCHES, *LOOPS):
            return self._control(node, operands)
        if operands and isinstance(operands[0], Handle):
            return self._state(node, operands)
        if draws(node):
            self._streams += 1
            shape = tuple(node.outputs[0].shape.as_list())
            numbers = self._draw(shape, self._streams - 1)
            return [tf.constant(numbers, widened(node.outputs[0].dtype, self._double))]
        key = (id(node.graph), node.name)
        if key not in self._runners:
            self._runners[key] = runner(node, self._double)
        return self._runners[key](operands)

    def _call(self, body: Any, operands: Sequence[Any]) -> list[Any]:
        values = {t.name: v for t, v in zip(body.inputs, operands, strict=True)}
        return self._body(body, values, list(body.outputs))

    def _control(self, node: Any, operands: list[Any]) -> Sequence[Any]:
        bodies = bodies_of(node)
        if node.type in CALLS:
            return self._call(bodies[0], operands)
        if node.type in LOOPS:
            while bool(self._call(bodies[0], operands)[0]):
                operands = self._call(bodies[1], operands)
            return operands
        index = int(operands[0])
        if len(bodies) == 2 and node.type.endswith("If"):
            index = 0 if bool(operands[0]) else 1
        chosen = bodies[index] if 0 <= index < len(bodies) else bodies[-1]
        return self._call(chosen, operands[1:])

    def _state(self, node: Any, operands: list[Any]) -> Sequence[Any]:
        name, rest = operands[0].name, operands[1:]
        held = self.variables.get(name)
        if held is None:
            raise _unsupported(node, "a resource that is no variable")
        match node.type:
            case "ReadVariableOp":
                return [held]
            case "ResourceGather":
                return [tf.gather(held, rest[0])]
            case "VariableShape":
                return [tf.shape(held, node.outputs[0].dtype)]
            case "AssignVariableOp":
                self.variables[name] = rest[0]
            case "AssignAddVariableOp":
                self.variables[name] = held + rest[0]
            case "AssignSubVariableOp":
                self.variables[name] = held - rest[0]
            case _:
                raise _unsupported(node, "a variable")
        return []


def _unsupported(node: Any, what: str) -> PockError:
    message = f"{node.type} of {what} is not supported"
    place = describe_location(node_location(node))
    return PockError(Diagnostic(message, place, "read and assign whole variables"))


def _no_draw(shape: tuple[int, ...], stream: int) -> Any:
    raise RuntimeError("no random numbers were given")
