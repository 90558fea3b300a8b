"""Rows about indices and labels that are out of range."""

from __future__ import annotations

import jax.numpy as jnp
import keras
import numpy as np
import optax
import tensorflow as tf
import torch.nn.functional as F
from difference_rows import Row, Spelling
from flax import linen
from framework_models import KerasModel, TensorFlowModel, TorchModel, jax_model

TABLE = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
INSIDE, OUTSIDE = (np.array(ids, np.int32) for ids in ([2, 0, 1], [2, 5, -1, -7]))
FILLED = {"nn.gather": {"out_of_range": "fill", "fill": float("nan")}}
CLIPPED = {"nn.gather": {"out_of_range": "clip"}}
CHECKED = {"nn.embedding": {}}
COLUMNS = {"nn.gather": {"axis": 1, "out_of_range": "check"}}


def flax_embedding(x, ids):
    return linen.Embed(3, 4).apply({"params": {"embedding": x}}, ids)


GATHER = Row(
    "index out of range",
    {
        "jax": Spelling(
            lambda: jax_model(lambda x, i: jnp.take(x, i, 0), x=TABLE), (OUTSIDE,), FILLED
        ),
        "jax.flax": Spelling(lambda: jax_model(flax_embedding, x=TABLE), (OUTSIDE,), FILLED),
        "jax.index": Spelling(
            lambda: jax_model(lambda x, i: x[i], x=TABLE),
            (OUTSIDE,),
            CLIPPED,
            has_gradients=False,  # JAX promises that the index is inside, and defines none.
        ),
        "jax.clip": Spelling(
            lambda: jax_model(lambda x, i: jnp.take(x, i, 0, mode="clip"), x=TABLE),
            (OUTSIDE,),
            CLIPPED,
        ),
        "jax.wrap": Spelling(
            lambda: jax_model(lambda x, i: jnp.take(x, i, 0, mode="wrap"), x=TABLE),
            (OUTSIDE,),
            {"nn.remainder": {}, **CLIPPED},
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, i: keras.ops.take(x, i, 0), x=TABLE), (INSIDE,)
        ),
        "torch": Spelling(
            lambda: TorchModel(lambda x, i: F.embedding(i, x), x=TABLE), (INSIDE,), CHECKED
        ),
        "torch.columns": Spelling(
            lambda: TorchModel(lambda x, i: x.index_select(1, i), x=TABLE), (INSIDE,), COLUMNS
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, i: tf.gather(x, i), x=TABLE), (INSIDE,), CHECKED
        ),
        "tensorflow.columns": Spelling(
            lambda: TensorFlowModel(lambda x, i: tf.gather(x, i, axis=1), x=TABLE),
            (INSIDE,),
            COLUMNS,
        ),
    },
    [("jax", "jax.flax"), ("jax.index",), ("jax.clip",), ("jax.wrap",)],
)

LAST = np.array([-1], np.int32)

LAST_ROW = Row(
    "index -1",
    {
        "torch.index": Spelling(
            lambda: TorchModel(lambda x, i: x[i.long()], x=TABLE),
            (LAST,),
            {"nn.add": {"element": "i64"}, "nn.embedding": {}},
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x, i: jnp.take(x, i, 0), x=TABLE),
            (LAST,),
            {"nn.add": {}, "nn.gather": {"out_of_range": "fill"}},
        ),
        "jax.index": Spelling(
            lambda: jax_model(lambda x, i: x[i], x=TABLE),
            (LAST,),
            {"nn.add": {}, "nn.gather": {"out_of_range": "clip"}},
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, i: keras.ops.take(x, i, 0), x=TABLE), (LAST,)
        ),
    },
    [("torch.index", "jax", "jax.index", "keras")],
)

LOGITS = np.cos(np.arange(12.0)).reshape(3, 4).astype(np.float32)
LABELS, IGNORED, BEYOND = (np.array(v, np.int32) for v in ([1, 0, 2], [1, -100, 2], [1, 7, 2]))


def optax_rows(x, labels):
    return optax.softmax_cross_entropy_with_integer_labels(x, labels)


def torch_rows(x, labels):
    return F.cross_entropy(x, labels.long(), reduction="none")


def tensorflow_rows(x, labels):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)


def keras_rows(x, labels):
    return keras.losses.sparse_categorical_crossentropy(labels, x, True, -100)


IGNORED_LABELS = Row(
    "ignored labels",
    {
        "torch": Spelling(lambda: TorchModel(torch_rows, x=LOGITS), (IGNORED,)),
        "torch.mean": Spelling(
            lambda: TorchModel(lambda x, labels: F.cross_entropy(x, labels.long()), x=LOGITS),
            (IGNORED,),
            {"nn.cross_entropy": {"ignore_index": -100, "reduction": "mean"}},
        ),
        "jax": Spelling(
            lambda: jax_model(optax_rows, x=LOGITS),
            (IGNORED,),
            hides=("nn.cross_entropy",),
            has_gradients=False,  # The loss is NaN: no such step is taken.
        ),
        "keras": Spelling(lambda: KerasModel(keras_rows, x=LOGITS), (IGNORED,)),
    },
    [("torch", "keras"), ("torch.mean",), ("jax",)],
)

OUTSIDE_LABELS = Row(
    "labels out of range",
    {
        "jax": Spelling(lambda: jax_model(optax_rows, x=LOGITS), (BEYOND,), has_gradients=False),
        "jax.last": Spelling(
            lambda: jax_model(optax_rows, x=LOGITS), (np.array([1, -1, 2], np.int32),)
        ),
        "torch": Spelling(
            lambda: TorchModel(lambda x, labels: F.cross_entropy(x, labels.long()), x=LOGITS),
            (LABELS,),
            {"nn.cross_entropy": {"ignore_index": -100}},
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, n: tf.reduce_mean(tensorflow_rows(x, n)), x=LOGITS),
            (LABELS,),
            {"nn.cross_entropy": {"ignore_index": -(2**31)}},
        ),
    },
    [("jax",), ("jax.last",), ("torch", "tensorflow")],
)

INDEX_ROWS = (GATHER, LAST_ROW, IGNORED_LABELS, OUTSIDE_LABELS)
