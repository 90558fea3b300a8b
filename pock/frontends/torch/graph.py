"""Imports one exported graph into a block: walks its nodes and asks the table for each.

What cannot be imported is collected, and a constant of the right type takes its place, so that
the rest of the graph is examined too: a user sees all that is unsupported at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg
from xdsl.dialects.builtin import UNKNOWN_LOC, NameLoc, StringAttr
from xdsl.ir import Block, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import (
    splat,
)
from pock.frontends.common.table import Random
from pock.frontends.torch.ops.dropout import draws_random_numbers
from pock.frontends.torch.source import Frame, describe_frame, frame_location, node_frame
from pock.frontends.torch.table import (
    Call,
    Value,
    call_arguments,
    handlers,
    needed_nodes,
    tensor_type_of,
)
from pock_ir.build import Emitter
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.types import Tensor, shape_of

aten = torch.ops.aten

# Checks of shapes and dtypes that tracing has settled already.
_NO_OPERATION = (aten._assert_tensor_metadata.default,)

HELP_UNSUPPORTED = "write it with supported operators, or compute it outside of the model"


class Missing:
    """Takes the place of a value that could not be imported and has no type."""


MISSING = Missing()


class GraphImporter:
    """Imports the nodes of one graph at the end of `block`.

    leaves: the graph's placeholders and folded constants by name, as SSA values.
    key: gives @train's seed and step. first_stream: the number of the graph's first random stream.
    name, frame: what and where the graph comes from, for nodes without a source line of their own.
    """

    def __init__(
        self,
        program: ExportedProgram,
        block: Block,
        leaves: Mapping[str, SSAValue],
        key: Callable[[], tuple[SSAValue, SSAValue]],
        errors: DiagnosticCollector,
        first_stream: int = 0,
        name: str = "model",
        frame: Frame | None = None,
    ) -> None:
        self._nodes = list(program.graph.nodes)
        self._emit = Emitter.at_end(block, UNKNOWN_LOC)
        self._values: dict[Node, Any] = {}
        self._leaves = leaves
        self._key = key
        self._errors = errors
        self._frame = frame
        self._unknown = NameLoc(StringAttr(name), UNKNOWN_LOC)
        random = [node for node in self._nodes if draws_random_numbers(node)]
        self._streams = {node: first_stream + index for index, node in enumerate(random)}

    @property
    def streams(self) -> int:
        """How many random streams the graph takes."""
        return len(self._streams)

    def run(self, outputs: list[str]) -> list[SSAValue]:
        """Import what `outputs` (names of nodes) depend on, and return their values.

        What nobody needs is left out. If something cannot be imported, `errors` says so and
        the values are placeholders.
        """
        named = {node.name: node for node in self._nodes}
        needed = needed_nodes([named[name] for name in outputs], self._leaves)
        for node in self._nodes:
            if node not in needed:
                continue
            # Code that PyTorch generated (the body of no_grad) has no place: take the last one.
            self._frame = node_frame(node) or self._frame
            self._emit.location = (
                self._unknown if self._frame is None else frame_location(self._frame)
            )
            self._values[node] = self._import(node)
        return [self._values[named[name]] for name in outputs]

    def _import(self, node: Node) -> Any:
        if node.op == "placeholder" or node.name in self._leaves:
            return self._leaves.get(node.name, MISSING)
        if node.target in _NO_OPERATION:
            return None
        if node.target is operator.getitem:
            return self._item(node)
        if node.op != "call_function" or node.target not in handlers():
            return self._refuse(node, None)
        try:
            return self._call(node)
        except Refusal as refusal:
            return self._refuse(node, refusal)
        except VerifyException as error:
            return self._refuse(node, Refusal(str(error)))

    def _item(self, node: Node) -> Any:
        source, index = node.args
        values = self._values[source]  # pyright: ignore[reportArgumentType] - FX's Argument
        if isinstance(values, Missing):
            return MISSING
        value = values[index]
        if value is None:
            return self._refuse(node, Refusal(f"result {index} of {source} cannot be used"))
        return value

    def _call(self, node: Node) -> Any:
        arguments = map_arg(call_arguments(node), self._values.__getitem__)
        if any(_contains_missing(argument) for argument in arguments.values()):
            return self._placeholder(node)
        call = Call(node, arguments, self._emit, lambda: self._random(node))
        value = handlers()[node.target](call)  # pyright: ignore[reportArgumentType] - FX
        _check(call, value)
        return value

    def _random(self, node: Node) -> Random:
        return Random(*self._key(), self._streams[node])

    def _refuse(self, node: Node, refusal: Refusal | None) -> Any:
        """Remember why `node` cannot be imported; None: its operator is not in the table."""
        target = str(node.target) if node.op == "call_function" else f"{node.op} {node.target}"
        operands = f"operands: {', '.join(map(_describe_type, node.all_input_nodes)) or 'none'}"
        place = describe_frame(self._frame)
        if refusal is None:
            self._errors.add(f"{target} is not supported ({operands})", place, HELP_UNSUPPORTED)
        else:
            self._errors.add(f"{target}: {refusal} ({operands})", place, refusal.help)
        return self._placeholder(node)

    def _placeholder(self, node: Node) -> Any:
        """Constants of the types of the node's results, to go on with."""
        value = node.meta.get("val")
        if isinstance(value, list | tuple):
            return tuple(self._constant(item) for item in value)
        return self._constant(value)

    def _constant(self, value: Any) -> SSAValue | Missing:
        try:
            return splat(self._emit, 0, tensor_type_of(value))
        except (Refusal, AttributeError):
            return MISSING


def _contains_missing(argument: Any) -> bool:
    if isinstance(argument, list | tuple):
        return any(map(_contains_missing, argument))
    return isinstance(argument, Missing)


def _check(call: Call, value: Value) -> None:
    """What was built has the types that PyTorch inferred; anything else is refused."""
    values = value if isinstance(value, tuple) else (value,)
    for index, item in enumerate(values):
        if item is not None and item.type != call.result(index):
            raise Refusal(f"was imported as {item.type}, but is {call.result(index)}")


def _describe_type(node: Node) -> str:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    try:
        kind: Tensor = tensor_type_of(value)
    except Refusal:
        return f"{'x'.join(map(str, value.shape))}x{str(value.dtype).removeprefix('torch.')}"
    return "x".join([*map(str, shape_of(kind)), str(kind.element_type)])
