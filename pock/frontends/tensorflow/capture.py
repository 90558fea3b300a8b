"""From a model and its loss to the graphs of training and inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from pock.frontends.common.refusal import first_line
from pock.frontends.tensorflow.loss import LossFunction, scalar_loss
from pock.frontends.tensorflow.model import Model
from pock.frontends.tensorflow.source import error_place
from pock.frontends.tensorflow.structure import named_tensors, with_tensors
from pock_ir.diagnostics import Diagnostic, PockError

HELP_TRACE = "the model must be traceable by tf.function; see its documentation for the rules"


@dataclass(frozen=True)
class Given:
    """The example inputs and targets, with their tensors by name in the order of the arguments."""

    inputs_tree: Any
    targets_tree: Any
    inputs: dict[str, Any]
    targets: dict[str, Any]

    @staticmethod
    def of(model: Model, inputs: Any, targets: Any) -> Given:
        """Raises PockError if inputs are no collection."""
        if not isinstance(inputs, Mapping | tuple | list):
            raise PockError("example inputs should be a tuple of arguments or a dict of keywords")
        named = inputs
        if not isinstance(inputs, Mapping):
            named = dict(zip(model.input_names(len(inputs)), inputs, strict=True))
        return Given(inputs, targets, _tensors(named, "input"), _tensors(targets, "target"))

    def restored(self, tensors: list[Any]) -> tuple[Any, Any]:
        """Inputs and targets as the model takes them, with other tensors."""
        count = len(self.inputs)
        inputs = dict(zip(self.inputs, tensors[:count], strict=True))
        targets = dict(zip(self.targets, tensors[count:], strict=True))
        is_named = isinstance(self.inputs_tree, Mapping)
        tree = self.inputs_tree if is_named else tuple(self.inputs_tree)
        # Positional inputs are found by place: their names are those of the model's arguments.
        places = iter(inputs.values())
        keys = list(named_tensors(tree, "input"))
        given = inputs if is_named else dict(zip(keys, places, strict=True))
        return with_tensors(tree, given, "input"), with_tensors(
            self.targets_tree, targets, "target"
        )


def _tensors(tree: Any, root: str) -> dict[str, Any]:
    return {name: tf.convert_to_tensor(leaf) for name, leaf in named_tensors(tree, root).items()}


@dataclass(frozen=True)
class Traced:
    """One graph.

    function: the ConcreteFunction, which keeps the graph alive. arguments: its tensors for inputs
    and targets. captures: what else it reads, as (outside, inside) pairs of tensors. loss, outputs:
    tensors of the graph.
    """

    function: Any
    graph: Any
    arguments: tuple[Any, ...]
    captures: tuple[tuple[Any, Any], ...]
    loss: Any
    outputs: dict[str, Any]


def trace(model: Model, loss: LossFunction, given: Given, training: bool) -> Traced:
    """The graph of the loss and of the outputs.

    Raises PockError at the user's line for whatever TensorFlow or the model raises.
    """
    names: list[str] = []

    def function(*tensors: Any) -> list[Any]:
        inputs, targets = given.restored(list(tensors))
        outputs = model.call(inputs, training)
        value = scalar_loss(loss, outputs, targets)
        for extra in model.extra():
            value = value + tf.cast(extra, value.dtype)
        named = named_tensors(outputs, "output")
        names.extend(named)
        return [value, *named.values()]

    leaves = [*given.inputs.values(), *given.targets.values()]
    specs = [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves]
    try:
        found = tf.function(function, autograph=False).get_concrete_function(*specs)
    except PockError:
        raise
    except Exception as error:
        message = f"TensorFlow cannot trace the model: {first_line(error)}"
        raise PockError(Diagnostic(message, error_place(error), HELP_TRACE)) from error
    graph = found.graph
    results = list(graph.outputs)
    count = len(specs)
    captures = tuple((outside, inside) for outside, inside in graph.captures)
    outputs = dict(zip(names[-len(results) + 1 :], results[1:], strict=True))
    return Traced(found, graph, tuple(graph.inputs[:count]), captures, results[0], outputs)
