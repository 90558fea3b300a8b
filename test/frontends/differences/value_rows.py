"""Rows about elementwise functions: kinks, ties, rounding, promotion of types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F
from difference_rows import Row, Spelling
from flax import linen
from framework_models import KerasModel, TensorFlowModel, TorchModel, jax_model
from framework_results import Results
from jax import lax

X = np.array([-2.0, -0.5, 0.0, 1.0, 2.0, 6.0], np.float32)
ERF = {"nn.gelu": {"approximation": "none"}}
TANH = {"nn.gelu": {"approximation": "tanh"}}


def gradients(results: Results) -> Sequence[np.ndarray]:
    return tuple(results.gradients.values())


GELU = Row(
    "gelu by default",
    {
        "torch": Spelling(lambda: TorchModel(F.gelu, x=X), shows=ERF),
        "torch.tanh": Spelling(
            lambda: TorchModel(lambda x: F.gelu(x, approximate="tanh"), x=X), shows=TANH
        ),
        "jax": Spelling(lambda: jax_model(jax.nn.gelu, x=X), shows=TANH),
        "jax.flax": Spelling(lambda: jax_model(linen.gelu, x=X), shows=TANH),
        "jax.erf": Spelling(
            lambda: jax_model(lambda x: jax.nn.gelu(x, approximate=False), x=X), shows=ERF
        ),
        "tensorflow": Spelling(lambda: TensorFlowModel(tf.nn.gelu, x=X), shows=ERF),
        "keras": Spelling(lambda: KerasModel(keras.activations.gelu, x=X), shows=ERF),
        "keras.ops": Spelling(lambda: KerasModel(keras.ops.gelu, x=X), shows=TANH),
    },
    [
        ("torch", "jax.erf", "tensorflow", "keras"),
        ("torch.tanh", "jax", "jax.flax", "keras.ops"),
    ],
)

RELU = {"nn.relu": {}}

RELU_AT_0 = Row(
    "gradient of relu at 0",
    {
        "torch": Spelling(lambda: TorchModel(F.relu, x=X), shows=RELU),
        "torch.maximum": Spelling(
            lambda: TorchModel(lambda x: torch.maximum(x, torch.zeros(())), x=X),
            shows={"nn.maximum": {}},
        ),
        "torch.clamp": Spelling(
            lambda: TorchModel(lambda x: torch.clamp(x, min=0.0), x=X),
            hides=("nn.maximum", "nn.clamp"),
        ),
        "jax": Spelling(lambda: jax_model(jax.nn.relu, x=X), shows=RELU),
        "jax.maximum": Spelling(
            lambda: jax_model(lambda x: jnp.maximum(x, 0.0), x=X), shows={"nn.maximum": {}}
        ),
        "tensorflow": Spelling(lambda: TensorFlowModel(tf.nn.relu, x=X), shows=RELU),
        "tensorflow.maximum": Spelling(
            lambda: TensorFlowModel(lambda x: tf.maximum(x, 0.0), x=X), hides=("nn.maximum",)
        ),
        "keras": Spelling(lambda: KerasModel(keras.ops.relu, x=X), shows=RELU),
    },
    [
        ("torch", "jax", "tensorflow", "keras"),
        ("torch.maximum", "jax.maximum"),
        ("torch.clamp", "tensorflow.maximum"),
    ],
    gradients,
)

CLAMP = {"nn.clamp": {"min": 0.0, "max": 6.0}}

RELU6_AT_6 = Row(
    "gradient of relu6 at 0 and 6",
    {
        "torch": Spelling(lambda: TorchModel(F.relu6, x=X), shows=CLAMP),
        "jax": Spelling(lambda: jax_model(jax.nn.relu6, x=X), shows=CLAMP),
        "jax.clip": Spelling(
            lambda: jax_model(lambda x: jnp.clip(x, 0.0, 6.0), x=X),
            shows={"nn.maximum": {}, "nn.minimum": {}},
        ),
        "tensorflow": Spelling(lambda: TensorFlowModel(tf.nn.relu6, x=X), shows=CLAMP),
        "tensorflow.clip": Spelling(
            lambda: TensorFlowModel(lambda x: tf.clip_by_value(x, 0.0, 6.0), x=X),
            hides=("nn.clamp",),
        ),
        "torch.clamp": Spelling(
            lambda: TorchModel(lambda x: torch.clamp(x, 0.0, 6.0), x=X), hides=("nn.clamp",)
        ),
        "keras": Spelling(lambda: KerasModel(keras.ops.relu6, x=X), shows=CLAMP),
    },
    [
        ("torch", "jax", "tensorflow", "keras"),
        ("jax.clip",),
        ("tensorflow.clip", "torch.clamp"),
    ],
    gradients,
)

TIED = np.array([2.0, 1.0, 2.0], np.float32)

TIED_MAXIMA = Row(
    "gradient of a maximum over equal elements",
    {
        "torch": Spelling(
            lambda: TorchModel(lambda x: torch.amax(x, 0), x=TIED), shows={"nn.max": {}}
        ),
        "torch.dim": Spelling(
            lambda: TorchModel(lambda x: torch.max(x, 0)[0], x=TIED),
            shows={"nn.argmax": {}, "nn.take_along_axis": {}},
        ),
        "jax": Spelling(lambda: jax_model(jnp.max, x=TIED), shows={"nn.max": {}}),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(tf.reduce_max, x=TIED), shows={"nn.max": {}}
        ),
        "keras": Spelling(lambda: KerasModel(keras.ops.max, x=TIED), shows={"nn.max": {}}),
    },
    [("torch", "jax", "tensorflow", "keras"), ("torch.dim",)],
    gradients,
)

FLAT = np.ones((1, 2, 2, 1), np.float32)

TIED_WINDOWS = Row(
    "gradient of max pooling over equal elements",
    {
        "torch": Spelling(
            lambda: TorchModel(lambda x: F.max_pool2d(x, 2), x=FLAT.reshape(1, 1, 2, 2)),
            shows={"nn.max_pool2d": {"layout": "nchw"}},
            common=lambda value: np.moveaxis(value, 1, -1),
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x: linen.max_pool(x, (2, 2), (2, 2)), x=FLAT),
            shows={"nn.max_pool2d": {"layout": "nhwc"}},
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), x=FLAT),
            shows={"nn.max_pool2d": {"layout": "nhwc"}},
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x: keras.ops.max_pool(x, 2, 2), x=FLAT),
            shows={"nn.max_pool2d": {"layout": "nhwc"}},
        ),
    },
    [("torch", "jax", "tensorflow", "keras")],
    gradients,
)

HALVES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)

ROUNDING = Row(
    "rounding of halves",
    {
        "torch": Spelling(lambda: TorchModel(torch.round, x=HALVES), shows={"nn.round": {}}),
        "jax": Spelling(lambda: jax_model(jnp.round, x=HALVES), shows={"nn.round": {}}),
        "jax.lax": Spelling(
            lambda: jax_model(lax.round, x=HALVES), refused="halves away from zero"
        ),
        "tensorflow": Spelling(lambda: TensorFlowModel(tf.round, x=HALVES), shows={"nn.round": {}}),
        "keras": Spelling(lambda: KerasModel(keras.ops.round, x=HALVES), shows={"nn.round": {}}),
    },
    [("torch", "jax", "tensorflow", "keras"), ("jax.lax",)],
)

SIGNED = np.array([-7, 7, -6, 5], np.int32)
SIGNED_INPUT = (SIGNED,)


def _divided(function: Any, build: Any, op: str, rounding: str) -> Spelling:
    return Spelling(lambda: build(function), SIGNED_INPUT, {op: {"rounding": rounding}})


DIVISION = Row(
    "integer division",
    {
        "torch": _divided(lambda n: n // 2, TorchModel, "nn.integer_div", "floor"),
        "torch.trunc": _divided(
            lambda n: torch.div(n, 2, rounding_mode="trunc"), TorchModel, "nn.integer_div", "trunc"
        ),
        "jax": _divided(lambda n: n // 2, jax_model, "nn.integer_div", "trunc"),
        "jax.lax": _divided(
            lambda n: lax.div(n, jnp.int32(2)), jax_model, "nn.integer_div", "trunc"
        ),
        "tensorflow": _divided(lambda n: n // 2, TensorFlowModel, "nn.integer_div", "floor"),
        "keras": Spelling(lambda: KerasModel(lambda n: keras.ops.floor_divide(n, 2)), SIGNED_INPUT),
    },
    [("torch", "jax", "tensorflow", "keras"), ("torch.trunc", "jax.lax")],
)

REMAINDER = Row(
    "remainder of integers",
    {
        "torch": _divided(lambda n: n % 3, TorchModel, "nn.remainder", "floor"),
        "torch.fmod": _divided(lambda n: torch.fmod(n, 3), TorchModel, "nn.remainder", "trunc"),
        "jax": _divided(lambda n: n % 3, jax_model, "nn.remainder", "trunc"),
        "jax.lax": _divided(lambda n: lax.rem(n, jnp.int32(3)), jax_model, "nn.remainder", "trunc"),
        "tensorflow": _divided(lambda n: n % 3, TensorFlowModel, "nn.integer_div", "floor"),
        "tensorflow.truncate": _divided(
            lambda n: tf.truncatemod(n, 3), TensorFlowModel, "nn.integer_div", "trunc"
        ),
        "keras": Spelling(lambda: KerasModel(lambda n: keras.ops.mod(n, 3)), SIGNED_INPUT),
    },
    [
        ("torch", "jax", "tensorflow", "keras"),
        ("torch.fmod", "jax.lax", "tensorflow.truncate"),
    ],
)

VALUE_ROWS = (
    GELU,
    RELU_AT_0,
    RELU6_AT_6,
    TIED_MAXIMA,
    TIED_WINDOWS,
    ROUNDING,
    DIVISION,
    REMAINDER,
)
