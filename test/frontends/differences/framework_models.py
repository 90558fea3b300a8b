"""Small models of parameters and inputs in each framework, all in the same form.

A model is a function of its parameters and then of its inputs. The sample itself is a parameter
where its gradient matters, so that every framework tells it under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch
from torch import nn

from pock.frontends.jax.model import Model

Function = Callable[..., Any]

ZERO = np.zeros((), np.float32)
"""Stands for no input of a Keras model, which cannot be called without one."""


class TorchModel(nn.Module):
    def __init__(self, function: Function, **params: np.ndarray) -> None:
        super().__init__()
        self.function = function
        for name, value in params.items():
            setattr(self, name, nn.Parameter(torch.from_numpy(value.copy())))
        self.eval()  # It has no modes: exporting it once is enough.

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.parameters(), *inputs)


def jax_model(function: Function, **params: np.ndarray) -> Model:
    names = list(params)
    held = {name: jnp.asarray(value) for name, value in params.items()}
    return Model(lambda p, *inputs: function(*(p[n] for n in names), *inputs), held)


class TensorFlowModel(tf.Module):
    def __init__(self, function: Function, **params: np.ndarray) -> None:
        super().__init__()
        self.function = function
        self.names = list(params)
        for name, value in params.items():
            setattr(self, name, tf.Variable(value, name=name))

    def __call__(self, *inputs: Any) -> Any:
        params = (tf.convert_to_tensor(getattr(self, name)) for name in self.names)
        return self.function(*params, *inputs)


class KerasModel(keras.Model):
    def __init__(self, function: Function, **params: np.ndarray) -> None:
        super().__init__(name="net")
        self.function = function
        for name, value in params.items():
            weight = self.add_weight(shape=value.shape, name=name)
            weight.assign(value)
        self.built = True

    def call(self, inputs: Any) -> Any:
        given = () if inputs.shape == () else (inputs,)
        return self.function(*map(keras.ops.convert_to_tensor, self.weights), *given)


def torch_weighted(outputs: Any, weights: Any) -> Any:
    return (outputs.float() * weights).sum()


def jax_weighted(outputs: Any, weights: Any) -> Any:
    return (outputs.astype(jnp.float32) * weights).sum()


def tensorflow_weighted(outputs: Any, weights: Any) -> Any:
    return tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)


def keras_weighted(outputs: Any, weights: Any) -> Any:
    return keras.ops.sum(keras.ops.cast(outputs, "float32") * weights)
