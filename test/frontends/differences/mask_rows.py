"""Rows about a row of scores that is masked everywhere."""

from __future__ import annotations

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

Q, K, V = (np.sin(i + np.arange(12.0)).reshape(1, 3, 1, 4).astype(np.float32) for i in range(3))
VISIBLE = np.array([[True, True, False], [False, False, False], [True, False, True]])
HEADS = {"q": Q, "k": K, "v": V}
HEADS_FIRST = {name: value.swapaxes(1, 2).copy() for name, value in HEADS.items()}


def torch_attention(q: Any, k: Any, v: Any, visible: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, visible)


def torch_written(q: Any, k: Any, v: Any, visible: Any) -> Any:
    hidden = torch.zeros(3, 3).masked_fill(~visible, float("-inf"))
    return torch.softmax(q @ k.transpose(-1, -2) * 0.5 + hidden, -1) @ v


def jax_attention(q: Any, k: Any, v: Any, visible: Any) -> Any:
    return jax.nn.dot_product_attention(q, k, v, mask=visible[None, None])


def flax_attention(q: Any, k: Any, v: Any, visible: Any) -> Any:
    return linen.dot_product_attention(q, k, v, mask=visible[None, None])


def heads_last(value: np.ndarray) -> np.ndarray:
    return value.swapaxes(1, 2)


ATTENTION = Row(
    "attention to nothing",
    {
        "torch": Spelling(
            lambda: TorchModel(torch_attention, **HEADS_FIRST),
            (VISIBLE,),
            {"nn.attention": {"mask": "boolean", "masked_rows": "zero"}},
            common=heads_last,
        ),
        "torch.written": Spelling(
            lambda: TorchModel(torch_written, **HEADS_FIRST),
            (VISIBLE,),
            {"nn.attention": {"masked_rows": "nan"}},
            common=heads_last,
        ),
        "jax": Spelling(
            lambda: jax_model(jax_attention, **HEADS),
            (VISIBLE,),
            {"nn.attention": {"mask": "boolean", "masked_rows": "uniform"}},
        ),
        "jax.flax": Spelling(
            lambda: jax_model(flax_attention, **HEADS),
            (VISIBLE,),
            {"nn.attention": {"mask": "boolean", "masked_rows": "uniform"}},
        ),
        "keras": Spelling(
            lambda: KerasModel(
                lambda q, k, v, m: keras.ops.dot_product_attention(q, k, v, mask=m[None, None]),
                **HEADS,
            ),
            (VISIBLE,),
        ),
    },
    [("torch",), ("torch.written",), ("jax", "jax.flax", "keras")],
)

SCORES = np.cos(np.arange(9.0)).reshape(3, 3).astype(np.float32)

SOFTMAX = Row(
    "softmax of a masked row",
    {
        "torch": Spelling(
            lambda: TorchModel(
                lambda x, m: torch.softmax(x.masked_fill(~m, float("-inf")), -1), x=SCORES
            ),
            (VISIBLE,),
            {"nn.constant": {"value": float("-inf")}, "nn.softmax": {"axis": 1}},
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x, m: jax.nn.softmax(jnp.where(m, x, -1e30)), x=SCORES),
            (VISIBLE,),
            {"nn.constant": {"value": float(np.float32(-1e30))}, "nn.softmax": {"axis": 1}},
        ),
        "jax.where": Spelling(
            lambda: jax_model(lambda x, m: jax.nn.softmax(x, where=m), x=SCORES), (VISIBLE,)
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, m: tf.nn.softmax(tf.where(m, x, -1e30)), x=SCORES),
            (VISIBLE,),
            {"nn.softmax": {"axis": 1}},
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, m: keras.layers.Softmax()(x, mask=m), x=SCORES),
            (VISIBLE,),
        ),
    },
    [("torch",), ("jax", "tensorflow"), ("jax.where", "keras")],
)

MASK_ROWS = (ATTENTION, SOFTMAX)
