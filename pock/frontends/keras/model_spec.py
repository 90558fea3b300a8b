"""What a Keras model says of its inputs, and its loss of the targets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pock.frontends.keras.compiled import check_compiled
from pock_ir.diagnostics import Diagnostic, PockError, quote

CLASSES = (
    "categorical_generalized_cross_entropy",
    "circle",
    "cross_entropy",
    "sparse_categorical_crossentropy",
)
"""Losses whose targets are class indices: the shape of the output without its last axis."""

SHARES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "poisson",
    "squared_hinge",
    "tversky",
)
"""Losses whose targets have the shape of the output; shares of 1 are in the range of each."""

LABELS = np.dtype(np.int32)
VOCABULARY = 2
"""Indices are below this where the model has no embedding."""


@dataclass(frozen=True)
class Port:
    """An input or target. shape: None for a dimension that is not known.

    limit: indices are below it. is_share: numbers between 0 and 1. problem: why no example can be
    made, if it cannot; a target's shape and dtype then say nothing.
    """

    name: str
    is_target: bool
    shape: tuple[int | None, ...] = ()
    dtype: np.dtype[Any] | None = None
    limit: int = VOCABULARY
    is_share: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """The inputs and targets of a model, flat, and what packs arrays as the model takes them.

    targets: None for an output without a loss.
    """

    name: str
    inputs: tuple[Port, ...]
    targets: tuple[Port | None, ...]
    pack_inputs: Callable[[list[Any]], Any]
    pack_targets: Callable[[list[Any]], Any]


def spec_of(model: Any, loss: Any) -> ModelSpec:
    """The inputs of `model`, and the targets of `loss`; None: of the loss it was compiled with.

    Raises PockError for a model that is not functional or Sequential, and if there is no loss.
    """
    inputs, outputs = _structures(model)
    root, limit = next(iter(inspect.signature(model.call).parameters)), _vocabulary(model)
    ports = [_input(name, leaf, limit) for name, leaf in _named(inputs, root)]
    if loss is None:
        losses = _compiled_losses(model, outputs)
        named, tree = _named(outputs, "target", always=False), outputs
    else:
        losses, tree = [loss], None
        named = [("target", _logits(outputs))]
    targets = [_target(*port, cost) for port, cost in zip(named, losses, strict=True)]
    return ModelSpec(
        model.name,
        tuple(ports),
        tuple(targets),
        lambda arrays: keras.tree.pack_sequence_as(inputs, arrays),
        lambda arrays: keras.tree.pack_sequence_as(tree, arrays),
    )


def _structures(model: Any) -> tuple[Any, Any]:
    """The inputs and the outputs of `model`, as it takes and returns them."""
    if isinstance(model, keras.Sequential) and model.built:
        (given,), outputs = model.inputs, list(model.outputs)
        return given, outputs[0] if len(outputs) == 1 else outputs
    # Properties of functional models, which others have as well but raise.
    inputs, outputs = getattr(model, "input", None), getattr(model, "output", None)
    if inputs is None or outputs is None:
        raise PockError(
            Diagnostic(
                f"{quote(model.name)} does not say what its inputs are: it is neither functional "
                "nor a built Sequential",
                help="give example inputs and targets yourself: pock.Job(model, inputs, targets)",
            )
        )
    return inputs, outputs


def _named(tree: Any, root: str, always: bool = True) -> list[tuple[str, Any]]:
    """The leaves of `tree` with their names in the program.

    root: before each name, or unless `always` before those that begin with a number only.
    """
    found: list[tuple[str, Any]] = []
    for path, leaf in keras.tree.flatten_with_path(tree):
        parts = [str(part) for part in path]
        if always or not parts or parts[0].isdigit():
            parts.insert(0, root)
        found.append(("/".join(parts), leaf))
    return found


def _vocabulary(model: Any) -> int:
    """Indices below this are in the range of every embedding of `model`."""
    layers = model._flatten_layers()
    sizes = [int(item.input_dim) for item in layers if isinstance(item, keras.layers.Embedding)]
    return min(sizes, default=VOCABULARY)


def _logits(outputs: Any) -> Any:
    """The output that a given loss gets: the one called "logits", or the first."""
    if isinstance(outputs, Mapping) and "logits" in outputs:
        return outputs["logits"]
    return keras.tree.flatten(outputs)[0]


def _input(name: str, leaf: Any, limit: int) -> Port:
    shape = tuple(leaf.shape)
    try:
        dtype = np.dtype(_carried(leaf.dtype))
    except TypeError:
        raise PockError(f"{quote(name)}: inputs of type {leaf.dtype} are not supported") from None
    unknown = [axis for axis, size in enumerate(shape) if size is None and axis > 0]
    if unknown:
        places = f"dimension{'s' * (len(unknown) > 1)} {', '.join(map(str, unknown))}"
        return Port(
            name, False, shape, dtype, problem=f"{places} of its shape {shape} is not known"
        )
    return Port(name, False, shape, dtype, limit)


def _carried(dtype: str) -> str:
    """The type in which arrays of `dtype` reach the program: JAX carries 32 bits."""
    return dtype.replace("64", "32") if keras.backend.backend() == "jax" else dtype


def _compiled_losses(model: Any, outputs: Any) -> Sequence[Any]:
    """What `model` was compiled with, for each output; None where there is no loss."""
    check_compiled(model)
    if getattr(model, "_compile_loss", None) is None:
        raise PockError(
            Diagnostic(f"{quote(model.name)} is compiled without a loss", help="give a loss")
        )
    loss, count = model.loss, len(keras.tree.flatten(outputs))
    if not keras.tree.is_nested(loss):
        return [loss] * count
    if isinstance(loss, Mapping):
        by_key = isinstance(outputs, Mapping)
        keys = [path[0] for path, _ in keras.tree.flatten_with_path(outputs)] if by_key else None
        return [loss.get(name) for name in keys or model.output_names]
    return keras.tree.flatten(loss)


def _target(name: str, output: Any, loss: Any) -> Port | None:
    if loss is None:
        return None
    if isinstance(loss, str) and loss not in (*CLASSES, *SHARES):
        loss = keras.losses.get(loss)
    kind = loss if isinstance(loss, str) else getattr(getattr(loss, "fn", loss), "__name__", "")
    shape, axis = list(output.shape), getattr(loss, "axis", -1)
    if kind not in (*CLASSES, *SHARES):
        return Port(name, True, problem=f"the loss {quote(kind)} does not say what its targets are")
    if None in shape[1:]:
        return Port(name, True, problem=f"the shape {tuple(shape)} of its output is not known")
    if kind in SHARES:
        return Port(name, True, tuple(shape), np.dtype(output.dtype), is_share=True)
    classes = shape.pop(axis)
    return Port(name, True, tuple(shape), LABELS, classes)
