"""Keras models of every construction, each with inputs and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from pock.compiler import Job
from pock_ir.passes.optimizer import SGD, Adam, AdamW

CLASSES = 7
WORDS = 30

Given = tuple[Any, tuple[Any, ...], Any]
"""Model, inputs, targets."""


def floats(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def integers(limit: int, *shape: int) -> Any:
    return np.random.default_rng(0).integers(0, limit, shape).astype(np.int32)


def sequential() -> Given:
    """Convolutions with SAME borders and strides, batch norm, pools that count borders, dropout."""
    model = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(max_value=6.0),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.Activation("silu"),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.MaxPooling2D(2, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(CLASSES),
        ]
    )
    return model, (floats(8, 9, 9, 3),), integers(CLASSES, 8)


def transformer(width: int = 16, heads: int = 2, blocks: int = 1) -> Given:
    """A causal language model; index 0 is padding, which the layers mask."""
    ids = keras.Input((8,), dtype="int32")
    x = layers.Embedding(WORDS, width, mask_zero=True)(ids)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)
        x = layers.Add()([x, attention(y, y, use_causal_mask=True)])
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dropout(0.1)(layers.Dense(width)(y))])
    model = keras.Model(ids, layers.Dense(WORDS)(layers.LayerNormalization()(x)))
    given = integers(WORDS, 3, 8)
    given[1, 5:] = 0
    return model, (given,), np.roll(given, -1, 1)


def _recurrent(cell: Any) -> Given:
    ids = keras.Input((5,), dtype="int32")
    x = cell(6)(layers.Embedding(WORDS, 8)(ids))
    return keras.Model(ids, layers.Dense(CLASSES)(x)), (integers(WORDS, 4, 5),), integers(7, 4)


def lstm() -> Given:
    return _recurrent(layers.LSTM)


def gru() -> Given:
    return _recurrent(layers.GRU)


class Residual(layers.Layer):
    """A layer of the user's, with a weight of its own and a regularizer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = layers.Dense(width, kernel_regularizer=keras.regularizers.L2(0.01))
        self.norm = layers.BatchNormalization()

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.dense.build(shape)
        self.norm.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return x + self.scale * keras.ops.tanh(self.norm(self.dense(x), training=training))


class Subclassed(keras.Model):
    """A model of the user's, with two inputs and operations of keras.ops."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Dense(8, activation="elu")
        self.blocks = [Residual(8) for _ in range(2)]
        self.dropout = layers.Dropout(0.2)
        self.head = layers.Dense(CLASSES)

    def call(self, x: Any, weight: Any, training: bool = False) -> Any:
        x = self.first(keras.ops.concatenate([x, keras.ops.sin(x)], axis=-1)) * weight
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(self.dropout(x, training=training))


def subclassed() -> Given:
    model, inputs = Subclassed(), (floats(6, 4), np.linspace(0.5, 1.5, 6, dtype="f")[:, None])
    model(*inputs)
    return model, inputs, integers(CLASSES, 6)


def _application(kind: Any, batch: int, **options: Any) -> Given:
    model = kind(
        weights=None,
        input_shape=(32, 32, 3),
        classes=CLASSES,
        classifier_activation=None,
        **options,
    )
    return model, (floats(batch, 32, 32, 3),), integers(CLASSES, batch)


def mobilenet() -> Given:
    return _application(keras.applications.MobileNetV2, 2, alpha=0.35)


def resnet() -> Given:
    return _application(keras.applications.ResNet50, 2)


def efficientnet() -> Given:
    return _application(keras.applications.EfficientNetB0, 2)


MODELS: Mapping[str, tuple[Callable[[], Given], Any]] = {
    "sequential": (sequential, SGD(0.05)),
    "transformer": (transformer, AdamW(1e-3)),
    "lstm": (lstm, SGD(0.05, momentum=0.9)),
    "gru": (gru, SGD(0.05, momentum=0.9, nesterov=True)),
    "subclassed": (subclassed, Adam(1e-3, eps=1e-7, eps_before_correction=True)),
}
APPLICATIONS: Mapping[str, tuple[Callable[[], Given], Any]] = {
    "mobilenet-v2": (mobilenet, SGD(0.01)),
    "resnet-50": (resnet, SGD(0.01)),
    "efficientnet-b0": (efficientnet, SGD(0.01)),
}
"""Name -> what gives model, inputs and targets, and an optimizer."""


def job(name: str, **changes: Any) -> Job:
    """A job that trains the model `name`, with the same weights in every process."""
    make, optimizer = {**MODELS, **APPLICATIONS}[name]
    keras.utils.set_random_seed(1)
    model, inputs, targets = make()
    return Job(model, inputs, targets, **{"optimizer": optimizer, "name": "net", **changes})
