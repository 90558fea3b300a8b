"""Imports one graph into a block: walks its nodes and asks the table for each.

What cannot be imported is collected, and a constant of the right type takes its place, so that
the rest of the graph is examined too: a user sees all that is unsupported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import UNKNOWN_LOC, LocationAttr
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import splat
from pock.frontends.tensorflow.bodies import UNIFORM, draws, needed_nodes, sources_of
from pock.frontends.tensorflow.control import CONTROL
from pock.frontends.tensorflow.known import Known, evaluated, given
from pock.frontends.tensorflow.lists import LISTS
from pock.frontends.tensorflow.random import HELP_RANDOM, Uniform, of_uniform
from pock.frontends.tensorflow.run_node import constant_array
from pock.frontends.tensorflow.source import node_location
from pock.frontends.tensorflow.state import STATE
from pock.frontends.tensorflow.structure import tensor_type_of
from pock.frontends.tensorflow.table import Call, Handler, handlers
from pock_ir.build import Emitter
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.dialects.elementwise import StopGradientOp
from pock_ir.location import describe_location
from pock_ir.types import Array, dtype_of, dtype_of_numpy, shape_of, tensor, tensor_type

HELP_UNSUPPORTED = "write it with supported operations, or compute it outside of the model"

SPECIAL = frozenset((*CONTROL, *STATE, *LISTS, *UNIFORM, "Const", "NoOp", "Placeholder", "Assert"))
"""Nodes that the importer deals with itself, or that compute nothing."""

SMALL = 1 << 10
"""Up to how many elements a known tensor is stored rather than computed by the program."""


class Missing:
    """Takes the place of a value that could not be imported and has no type."""


class Unusable:
    """A result that a handler does not make, such as a gradient that TensorFlow computes ahead."""


MISSING, UNUSABLE = Missing(), Unusable()


class GraphImporter:
    """Imports the nodes of one function at the end of `block`.

    variables: the present value of each, by name; assignments change it. stored: gives the argument
    for data that the program must carry. trained: the arguments that gradients are taken for.
    key: gives seed and step; None outside of training.
    """

    def __init__(
        self,
        block: Block,
        variables: Mapping[str, SSAValue],
        stored: Callable[[Array], SSAValue],
        trained: frozenset[BlockArgument],
        key: Callable[[], tuple[SSAValue, SSAValue]] | None,
        errors: DiagnosticCollector,
    ) -> None:
        self.emit = Emitter.at_end(block, UNKNOWN_LOC)
        self.variables = dict(variables)
        self._stored = stored
        self._active: dict[SSAValue, bool] = dict.fromkeys(trained, True)
        self._key = key
        self._errors = errors
        self._streams = 0
        self._depth = 0
        self._has_gradient = False
        self._tensors: dict[Known, SSAValue] = {}
        self._memory: dict[Any, Any] = {}

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
            return MISSING if value is MISSING else self.tensor(value)
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
                self._has_gradient = node.name in differentiated
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
            return [self._draw(node)]
        if any(isinstance(value, Uniform) for value in operands):
            return [of_uniform(self._call(node, operands))]
        is_known = all(isinstance(value, Known) for value in operands)
        if is_known and not node.op_def.is_stateful:
            return evaluated(node, operands)
        handler = handlers().get(node.type)
        if handler is None:
            raise Refusal("")
        return self._handled(handler, node, operands)

    def _draw(self, node: Any) -> Uniform:
        if self._key is None:
            raise Refusal("random numbers are drawn outside of training", HELP_RANDOM)
        shape = tensor_type_of(node.outputs[0].shape, node.outputs[0].dtype).get_shape()
        self._streams += 1
        return Uniform(tuple(shape), self._streams - 1)

    def _call(self, node: Any, operands: Sequence[Any]) -> Call:
        return Call(node, operands, self.emit, self, self._memory)

    def _handled(self, handler: Handler, node: Any, operands: Sequence[Any]) -> Sequence[Any]:
        result = handler(self._call(node, operands))
        values = list(result) if isinstance(result, list | tuple) else [result]
        values += [None] * (len(node.outputs) - len(values))
        for output, value in zip(node.outputs, values, strict=True):
            if isinstance(value, SSAValue):
                _check(value, output)
        return [UNUSABLE if value is None else value for value in values]

    # What a call asks of its operands; see `table.Operands`.

    def tensor(self, value: Any) -> SSAValue:
        """`value` as a tensor of the program. Raises Refusal if it is none."""
        if isinstance(value, SSAValue):
            return value
        if isinstance(value, Uniform):
            raise Refusal("random numbers are used as data, which is not supported", HELP_RANDOM)
        if not isinstance(value, Known):
            raise Refusal(f"a {type(value).__name__} is used as a tensor")
        if value not in self._tensors:
            self._tensors[value] = self._written(value)
        return self._tensors[value]

    def _written(self, value: Known) -> SSAValue:
        """A known value as a splat, as ops, or as stored data."""
        array = value.array
        try:
            type = tensor(array.shape, dtype_of_numpy(array.dtype).name)
        except KeyError:
            raise Refusal(f"element type {array.dtype} is not supported") from None
        if array.size == 0:
            raise Refusal(f"a tensor of shape {list(array.shape)} has no elements")
        if (array == array.flat[0]).all():
            return splat(self.emit, array.flat[0].item(), type)
        if array.size > SMALL and not dtype_of(type).is_float:
            found = self._recomputed(value)
            if found is not None:
                return found
        return self._stored(np.ascontiguousarray(array).reshape(array.shape))

    def _recomputed(self, value: Known) -> SSAValue | None:
        """A known value as the ops of its node; None if there are none for it."""
        handler = None if value.node is None else handlers().get(value.node.type)
        if handler is None or value.node is None or len(value.node.outputs) != 1:
            return None
        last = self.emit.point.block.last_op
        try:
            found = self._handled(handler, value.node, value.operands)[0]
            return found if isinstance(found, SSAValue) else None
        except (Refusal, VerifyException):
            self._erase_after(last)
            return None

    def _erase_after(self, last: Operation | None) -> None:
        """Erase the ops behind `last`: those of an attempt that was given up."""
        block = self.emit.point.block
        while block.last_op is not None and block.last_op is not last:
            block.erase_op(block.last_op)
        self._tensors = {k: v for k, v in self._tensors.items() if _is_attached(v)}

    def known(self, value: Any) -> Array | None:
        """The numbers of a known value, or None."""
        return value.array if isinstance(value, Known) else None

    def key(self) -> tuple[SSAValue, SSAValue]:
        """@train's seed and step. Raises Refusal outside of training."""
        if self._key is None:
            raise Refusal("random numbers are drawn outside of training", HELP_RANDOM)
        return self._key()

    def is_active(self, value: Any) -> bool:
        """Whether a gradient of `value` would reach a trained parameter."""
        if not isinstance(value, SSAValue) or not self._has_gradient:
            return False
        stack = [value]
        while stack:
            top = stack[-1]
            owner = top.owner
            is_end = isinstance(owner, Block | StopGradientOp)
            sources = () if is_end else owner.operands
            pending = [source for source in sources if source not in self._active]
            if top in self._active or not pending:
                stack.pop()
                has_gradient = dtype_of(tensor_type(top)).is_float
                reaches = any(self._active[source] for source in sources)
                self._active.setdefault(top, has_gradient and reaches)
            else:
                stack.extend(pending)
        return self._active[value]

    # What could not be imported.

    def _refuse(self, node: Any, refusal: Refusal) -> Sequence[Any]:
        """Remember why `node` cannot be imported; no reason: it is not in the table."""
        shown = ", ".join(_describe(source) for source in node.inputs) or "none"
        place = describe_location(self.emit.location)
        if str(refusal):
            self._errors.add(f"{node.type}: {refusal} (operands: {shown})", place, refusal.help)
        else:
            message = f"{node.type} is not supported (operands: {shown})"
            self._errors.add(message, place, HELP_UNSUPPORTED)
        return self._placeholders(node)

    def _placeholders(self, node: Any) -> Sequence[Any]:
        """Constants of the types of the results, to go on with."""
        return [self._placeholder(output) for output in node.outputs]

    def _placeholder(self, output: Any) -> SSAValue | Missing:
        try:
            return splat(self.emit, 0, tensor_type_of(output.shape, output.dtype))
        except Refusal:
            return MISSING


def _check(value: SSAValue, output: Any) -> None:
    """What was built agrees with what TensorFlow inferred; anything else is refused."""
    same = dtype_of(value).numpy == np.dtype(output.dtype.as_numpy_dtype)
    if not same or not output.shape.is_compatible_with(shape_of(value)):
        raise Refusal(f"was imported as {value.type}, but is {_describe(output)}")


def _is_attached(value: SSAValue) -> bool:
    owner = value.owner
    return not isinstance(owner, Operation) or owner.parent is not None


def _describe(value: Any) -> str:
    sizes = "?" if value.shape.rank is None else "x".join(map(str, value.shape.as_list()))
    return "x".join(filter(None, (sizes, value.dtype.name)))
