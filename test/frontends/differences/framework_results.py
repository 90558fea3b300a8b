"""What each framework itself computes for a model: outputs, gradients and new state."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch
from framework_models import (
    jax_weighted,
    keras_weighted,
    tensorflow_weighted,
    torch_weighted,
)

from pock.frontends.jax.model import model_of
from pock.frontends.jax.structure import named_leaves
from pock.frontends.tensorflow.model import model_of as tensorflow_model_of
from pock.frontends.torch.arguments import to_numpy

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Results:
    """outputs: of inference. gradients: of the sum of outputs times `weights`, by parameter.

    state: what training changes without gradients, after one call. weights: f32, like outputs.
    """

    outputs: np.ndarray
    weights: np.ndarray
    gradients: Arrays = field(default_factory=dict)
    state: Arrays = field(default_factory=dict)


def weights_for(outputs: np.ndarray) -> np.ndarray:
    """Different weights for all outputs, none of them 0."""
    weights = np.cos(np.arange(outputs.size, dtype=np.float32)) + 1.5
    return weights.reshape(outputs.shape)


def torch_results(model: Any, inputs: Sequence[np.ndarray]) -> Results:
    tensors = [torch.from_numpy(array) for array in inputs]
    with torch.no_grad():
        outputs = to_numpy(copy.deepcopy(model).eval()(*tensors))
    weights, trained = weights_for(outputs), copy.deepcopy(model)
    loss = torch_weighted(trained(*tensors), torch.from_numpy(weights))
    if loss.requires_grad:
        loss.backward()
    found = {n: p.grad.numpy() for n, p in trained.named_parameters() if p.grad is not None}
    state = {name: value.numpy() for name, value in trained.named_buffers()}
    return Results(outputs, weights, found, state)


def jax_results(model: Any, inputs: Sequence[np.ndarray]) -> Results:
    pure = model_of(model)
    arrays = [jnp.asarray(array) for array in inputs]
    infer = jax.jit(lambda params: pure.call(params, pure.state, arrays, False)[0])
    outputs = np.asarray(infer(pure.params))
    weights = weights_for(outputs)

    def loss(params: Any) -> Any:
        results, state = pure.call(params, pure.state, arrays, True)
        return jax_weighted(results, weights), state

    found, state = jax.jit(jax.grad(loss, has_aux=True))(pure.params)
    return Results(outputs, weights, _arrays(found), _arrays(state))


def _arrays(tree: Any) -> Arrays:
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


def tensorflow_results(model: Any, inputs: Sequence[np.ndarray]) -> Results:
    """Variables that the call changes are put back."""
    call, variables = tensorflow_model_of(model).call, model.trainable_variables
    before = [variable.numpy() for variable in model.variables]
    arrays = [tf.constant(array) for array in inputs]
    outputs = call(arrays, False).numpy()
    weights = weights_for(outputs)
    with tf.GradientTape() as tape:
        loss = tensorflow_weighted(call(arrays, True), weights)
    found = _by_name(variables, tape.gradient(loss, variables))
    state = _by_name(model.variables, [variable.numpy() for variable in model.variables])
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return Results(outputs, weights, found, state)


def _by_name(variables: Sequence[Any], values: Sequence[Any]) -> Arrays:
    pairs = zip(variables, values, strict=True)
    return {
        variable.name.partition(":")[0]: tf.convert_to_tensor(value).numpy()
        for variable, value in pairs
        if value is not None
    }


def keras_results(model: Any, inputs: Sequence[np.ndarray]) -> Results:
    outputs = keras.ops.convert_to_numpy(model(*inputs, training=False))
    weights = weights_for(outputs)
    on_jax = keras.backend.backend() == "jax"
    found, state = (_keras_on_jax if on_jax else _keras_on_tensorflow)(model, inputs, weights)
    return Results(outputs, weights, found, state)


def _keras_on_jax(model: Any, inputs: Any, weights: np.ndarray) -> tuple[Arrays, Arrays]:
    rest = [variable.value for variable in model.non_trainable_variables]
    has_modes = "training" in inspect.signature(model.call).parameters
    mode = {"training": True} if has_modes else {}

    def loss(values: Any) -> Any:
        outputs, state = model.stateless_call(values, rest, *inputs, **mode)
        return keras_weighted(outputs, weights), state

    values = [variable.value for variable in model.trainable_variables]
    found, state = jax.jit(jax.grad(loss, has_aux=True))(values)
    return _by_path(model.trainable_variables, found), _by_path(
        model.non_trainable_variables, state
    )


def _keras_on_tensorflow(model: Any, inputs: Any, weights: np.ndarray) -> tuple[Arrays, Arrays]:
    """Variables that the call changes are put back."""
    variables, rest = model.trainable_variables, model.non_trainable_variables
    before = [keras.ops.convert_to_numpy(variable) for variable in rest]
    with tf.GradientTape() as tape:
        loss = keras_weighted(model(*inputs, training=True), weights)
    found = tape.gradient(loss, [variable.value for variable in variables])
    kept = [(v, g) for v, g in zip(variables, found, strict=True) if g is not None]
    gradients = _by_path([v for v, _ in kept], [tf.convert_to_tensor(g) for _, g in kept])
    state = _by_path(rest, [variable.value for variable in rest])
    for variable, value in zip(rest, before, strict=True):
        variable.assign(value)
    return gradients, state


def _by_path(variables: Sequence[Any], values: Sequence[Any]) -> Arrays:
    pairs = zip(variables, values, strict=True)
    return {v.path: np.array(keras.ops.convert_to_numpy(value)) for v, value in pairs}


@dataclass(frozen=True)
class Framework:
    """results: what it computes itself. loss: the weighted sum of outputs, in its own functions.

    array: an input or target of a model as it takes it.
    """

    results: Callable[[Any, Sequence[np.ndarray]], Results]
    loss: Callable[[Any, Any], Any]
    array: Callable[[np.ndarray], Any] = np.asarray


FRAMEWORKS = {
    "torch": Framework(torch_results, torch_weighted, torch.from_numpy),
    "jax": Framework(jax_results, jax_weighted),
    "tensorflow": Framework(tensorflow_results, tensorflow_weighted),
    "keras": Framework(keras_results, keras_weighted),
}
