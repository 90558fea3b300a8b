"""TensorFlow models as modules of level `nn`: @train, @eval and @infer, with weights beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.signature import (
    Constants,
    Signature,
    checked_types,
    new_module,
    used_names,
)
from pock.frontends.imported import Imported
from pock.frontends.tensorflow.bodies import assigns, draws_anywhere
from pock.frontends.tensorflow.capture import Given, Traced, trace
from pock.frontends.tensorflow.function import build_function, ignored_states
from pock.frontends.tensorflow.loss import Loss, loss_function
from pock.frontends.tensorflow.model import Model, Variable, model_of
from pock.frontends.tensorflow.structure import tensor_type_of, to_numpy, type_of_leaf
from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.types import Tensor
from pock_ir.verify import verify_module


def import_tensorflow(
    model: Any,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    example_targets: Any,
    loss: Loss,
    *,
    name: str = "net",
) -> Imported:
    """Import `model` with `loss`.

    model: a keras.Model on the TensorFlow backend, a tf.Module, a tf.function or a
        ConcreteFunction.
    example_inputs: positional arguments as a tuple, or keyword arguments as a mapping; tensors and
        numpy arrays may lie in nested tuples, lists and dicts. Their shapes and dtypes are what is
        compiled.
    example_targets: a tensor, or a structure of tensors.
    loss: "cross_entropy" (class indices, classes last) or "mse", both means over everything;
        "output" if the model returns its loss; a keras.losses.Loss; or a function of outputs and
        targets, which must give a float scalar. By name, and as a Keras loss, it gets the output
        called "logits", or the first. Losses that layers add (regularizers) are added to it.

    @train is the model with training=True, with dropout from pock's counter; @eval and @infer are
    the model with training=False. A model without such an argument has one mode: all three
    functions are made of it unless it draws random numbers or assigns variables, which is
    specific to training; then there is @train only.

    Raises PockError with everything that cannot be imported, each with the source line.
    """
    errors = DiagnosticCollector()
    captured = capture(model, example_inputs, example_targets, loss)
    signature = _signature(captured, errors)
    errors.raise_if_any()
    constants = Constants(frozenset(signature.stored))
    module = new_module(name)
    held = captured.by_handle()
    for function, traced in captured.functions().items():
        built = build_function(function, traced, held, signature, constants, errors)
        module.body.block.add_op(built)
    errors.raise_if_any()
    verify_module(module)
    return _imported(module, captured, constants)


@dataclass(frozen=True)
class Captured:
    """A model, traced in training and (if it has such a mode) in inference, and its variables."""

    given: Given
    training: Traced
    inference: Traced | None
    variables: tuple[Variable, ...]

    def functions(self) -> dict[str, Traced]:
        """The graph of each function of the module."""
        if self.inference is None:
            return {"train": self.training}
        return {"train": self.training, "eval": self.inference, "infer": self.inference}

    def by_handle(self) -> dict[int, Variable]:
        """Variables by the id of their handle, which is what graphs capture."""
        return {id(variable.value.handle): variable for variable in self.variables}


def capture(model: Any, inputs: Any, targets: Any, loss: Loss) -> Captured:
    """Trace a user's model with its loss. Raises PockError as `import_tensorflow` does."""
    pure = model_of(model)
    function = loss_function(loss)
    given = Given.of(pure, inputs, targets)
    training = trace(pure, function, given, True)
    if pure.has_modes:
        inference = trace(pure, function, given, False)
    else:
        inference = None if _is_for_training(training) else training
    graphs = [training.graph, *([] if inference is None else [inference.graph])]
    return Captured(given, training, inference, _variables(pure, graphs))


def _is_for_training(traced: Traced) -> bool:
    nodes = traced.graph.get_operations()
    return draws_anywhere(traced.graph) or any(map(assigns, nodes))


def _variables(model: Model, graphs: list[Any]) -> tuple[Variable, ...]:
    """The model's variables that graphs use, and others that they use under their own names."""
    used = {id(v.handle): v for graph in graphs for v in graph.variables}
    named = [variable for variable in model.variables if id(variable.value.handle) in used]
    taken = {id(variable.value.handle) for variable in named}
    others = [
        Variable(value.name.partition(":")[0], value, value.trainable)
        for handle, value in used.items()
        if handle not in taken
    ]
    return (*named, *others)


def _signature(captured: Captured, errors: DiagnosticCollector) -> Signature:
    stored: dict[str, tuple[str, Tensor]] = {}
    for variable in stored_variables(captured):
        if variable.name in stored:
            message = f"two variables are called {quote(variable.name)}"
            errors.add(message, help="give the layers or variables different names")
        try:
            type = tensor_type_of(variable.value.shape, variable.value.dtype)
            stored[variable.name] = (variable.kind, type)
        except Refusal as refusal:
            errors.add(f"variable {quote(variable.name)}: {refusal}", help=refusal.help)
    return Signature(
        stored,
        checked_types(captured.given.inputs, "input", type_of_leaf, errors),
        checked_types(captured.given.targets, "target", type_of_leaf, errors),
    )


def stored_variables(captured: Captured) -> list[Variable]:
    """The variables that the program has: all but the states of random generators."""
    ignored = ignored_states(captured.training)
    pairs = captured.training.captures
    states = {id(outside) for outside, inside in pairs if inside.name in ignored}
    return [v for v in captured.variables if id(v.value.handle) not in states]


def _imported(module: ModuleOp, captured: Captured, constants: Constants) -> Imported:
    used = used_names(module)
    values = {v.name: to_numpy(v.value) for v in captured.variables if v.name in used}
    last = captured.inference or captured.training
    return Imported(
        module,
        {**values, **{n: array for n, array in constants.arrays.items() if n in used}},
        {},
        tuple(v.name for v in captured.variables if v.is_frozen and v.name in used),
        tuple(captured.given.inputs),
        tuple(captured.given.targets),
        tuple(last.outputs),
    )
