"""Rows about the element types that operations on mixed operands give.

The dialect has no promotion: every change of type is an nn.cast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
from difference_rows import Row, Spelling
from framework_models import KerasModel, TensorFlowModel, TorchModel, jax_model
from framework_results import Results

X = np.array([0.5, 1.0 + 2.0**-9, 3.0], np.float32)
REFUSED_BY_TENSORFLOW = "AddV2"
"""The op whose operands differ: eager calls and traces have different words for it."""

COUNTS = np.array([3, -1, 2], np.int32)


def element_type(results: Results) -> Sequence[np.ndarray]:
    """The letters of its name."""
    name = results.outputs.dtype.name.ljust(16)
    return (np.frombuffer(name.encode(), np.uint8),)


def of_floats(build: Any, function: Callable[[Any], Any], element: str) -> Spelling:
    """A spelling whose last op has results of type `element`."""
    shows = {"nn.add": {"element": element}, "nn.cast": {"to": element}}
    return Spelling(lambda: build(function, x=X), shows=shows)


def of_both(build: Any, function: Callable[[Any, Any], Any]) -> Spelling:
    """A spelling of a float and an integer tensor that gives f16."""
    shows = {"nn.add": {"element": "f16"}, "nn.cast": {"to": "f16"}}
    return Spelling(lambda: build(function, x=X), (COUNTS,), shows)


def of_integers(build: Any, function: Any, op: str, element: str, casts: bool = False) -> Spelling:
    shows = {op: {"element": element}, **({"nn.cast": {"to": element}} if casts else {})}
    return Spelling(lambda: build(function), (COUNTS,), shows)


WITH_SCALARS = Row(
    "bf16 tensor and f32 scalar",
    {
        "torch": of_floats(TorchModel, lambda x: x.bfloat16() + x[0], "bf16"),
        "torch.tensors": of_floats(TorchModel, lambda x: x.bfloat16() + x, "f32"),
        "jax": of_floats(jax_model, lambda x: x.astype(jnp.bfloat16) + x[0], "f32"),
        "jax.literal": of_floats(jax_model, lambda x: x.astype(jnp.bfloat16) + 1.5, "bf16"),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x: tf.cast(x, tf.bfloat16) + x[0], x=X),
            fails=REFUSED_BY_TENSORFLOW,
        ),
        "keras": of_floats(
            KerasModel, lambda x: keras.ops.add(keras.ops.cast(x, "bfloat16"), x[0]), "f32"
        ),
    },
    [("torch", "jax.literal"), ("torch.tensors", "jax", "keras")],
    element_type,
)

HALVES = Row(
    "bf16 and f16",
    {
        "torch": of_floats(TorchModel, lambda x: x.bfloat16() + x.half(), "f32"),
        "jax": of_floats(
            jax_model, lambda x: x.astype(jnp.bfloat16) + x.astype(jnp.float16), "f32"
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(
                lambda x: tf.cast(x, tf.bfloat16) + tf.cast(x, tf.float16), x=X
            ),
            fails=REFUSED_BY_TENSORFLOW,
        ),
        "keras": of_floats(
            KerasModel,
            lambda x: keras.ops.add(keras.ops.cast(x, "bfloat16"), keras.ops.cast(x, "float16")),
            "f32",
        ),
    },
    [("torch", "jax", "keras")],
    element_type,
)

INTEGER_SUM = Row(
    "sum of i32",
    {
        "torch": of_integers(TorchModel, lambda n: n.sum(), "nn.sum", "i64", True),
        "jax": of_integers(jax_model, lambda n: n.sum(), "nn.sum", "i32"),
        "tensorflow": of_integers(TensorFlowModel, tf.reduce_sum, "nn.sum", "i32"),
        "keras": of_integers(KerasModel, keras.ops.sum, "nn.sum", "i32"),
    },
    [("torch",), ("jax", "tensorflow", "keras")],
    element_type,
)

INTEGER_QUOTIENT = Row(
    "i32 divided by i32",
    {
        "torch": of_integers(TorchModel, lambda n: n / (n + 2), "nn.div", "f32", True),
        "jax": of_integers(jax_model, lambda n: n / (n + 2), "nn.div", "f32", True),
        "tensorflow": of_integers(TensorFlowModel, lambda n: n / (n + 2), "nn.div", "f64", True),
        "keras": of_integers(
            KerasModel, lambda n: keras.ops.divide(n, n + 2), "nn.div", "f32", True
        ),
    },
    [("torch", "jax", "keras"), ("tensorflow",)],
    element_type,
)

INTEGER_AND_HALF = Row(
    "i32 and f16",
    {
        "torch": of_both(TorchModel, lambda x, n: x.half() + n),
        "jax": of_both(jax_model, lambda x, n: x.astype(jnp.float16) + n),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, n: tf.cast(x, tf.float16) + n, x=X),
            (COUNTS,),
            fails=REFUSED_BY_TENSORFLOW,
        ),
        "keras": of_both(KerasModel, lambda x, n: keras.ops.add(keras.ops.cast(x, "float16"), n)),
    },
    [("torch", "jax", "keras")],
    element_type,
)

PROMOTION_ROWS = (WITH_SCALARS, HALVES, INTEGER_SUM, INTEGER_QUOTIENT, INTEGER_AND_HALF)
