"""Small models of every kind that the importer takes, each with inputs, targets and a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

RNG = np.random.default_rng(3)
PICTURES = RNG.standard_normal((4, 12, 12, 3), np.float32)
LABELS = np.array([1, 3, 0, 2], np.int32)
IDS = RNG.integers(1, 20, (3, 7)).astype(np.int32)
IDS[1, 5:] = 0
NEXT = RNG.integers(0, 20, (3, 7)).astype(np.int32)

KEPT: list[Any] = []
"""Variables of ConcreteFunctions, which do not keep them alive themselves."""

Given = tuple[Any, tuple[Any, ...], Any, Any]
"""Model, inputs, targets, loss."""


def variable(*shape: int, name: str, scale: float = 0.4) -> Any:
    values = np.random.default_rng(sum(shape)).standard_normal(shape) * scale
    return tf.Variable(values.astype(np.float32), name=name)


def raw_function() -> Given:
    """A tf.function that closes over variables and calls tf.nn."""
    filters, bias = variable(3, 3, 3, 6, name="filters"), variable(6, name="bias")
    depth = variable(3, 3, 6, 1, name="depth")
    scale, offset = variable(6, name="scale"), variable(6, name="offset")
    head = variable(6, 4, name="head")

    @tf.function
    def network(x: Any) -> Any:
        x = tf.nn.bias_add(tf.nn.conv2d(x, filters, 2, "SAME"), bias)
        x = tf.nn.batch_normalization(x, *tf.nn.moments(x, (0, 1, 2)), offset, scale, 1e-3)
        x = tf.nn.max_pool2d(tf.nn.relu6(x), 2, 2, "SAME")
        x = x + tf.nn.silu(tf.nn.depthwise_conv2d(x, depth, (1, 1, 1, 1), "SAME"))
        x = tf.nn.avg_pool2d(x, 3, 2, "SAME")
        return tf.reduce_mean(x, (1, 2)) @ head

    return network, (PICTURES,), LABELS, "cross_entropy"


class Normalised(tf.Module):
    """Running statistics of tf.compat.v1.nn.fused_batch_norm, dropout, and a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = variable(3, 3, 3, 5, name="filters")
        self.grouped = variable(3, 3, 1, 5, name="grouped")
        self.scale = tf.Variable(tf.ones(5))
        self.offset = tf.Variable(tf.zeros(5))
        self.mean = tf.Variable(tf.zeros(5), trainable=False)
        self.variance = tf.Variable(tf.ones(5), trainable=False)
        self.steps = tf.Variable(0, trainable=False)
        self.layers = [variable(5, 8, name="w"), variable(8, 4, name="w")]

    def __call__(self, x: Any, training: bool) -> dict[str, Any]:
        x = tf.nn.conv2d(x, self.filters, 1, "VALID", dilations=2)
        x, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x,
            self.scale,
            self.offset,
            self.mean,
            self.variance,
            is_training=training,
            exponential_avg_factor=0.2 if training else 1.0,
        )
        if training:
            self.mean.assign(mean)
            self.variance.assign(variance)
            self.steps.assign_add(1)
        x = tf.nn.leaky_relu(tf.nn.conv2d(x, self.grouped, 2, "SAME"))
        x = tf.reduce_max(x, (1, 2)) @ self.layers[0]
        x = tf.nn.dropout(tf.nn.gelu(x), 0.25) if training else tf.nn.gelu(x)
        return {"features": x, "logits": x @ self.layers[1]}


def module() -> Given:
    return Normalised(), (PICTURES,), LABELS, "cross_entropy"


def concrete() -> Given:
    """A ConcreteFunction with a While of known length and a loss of its own."""
    step, start = variable(5, 5, name="step"), variable(3, 5, name="start")

    @tf.function
    def network(x: Any) -> Any:
        state = x @ start
        for _ in tf.range(4):
            state = tf.tanh(state @ step)
        return state

    KEPT.extend((step, start))
    spec = tf.TensorSpec((4, 3), tf.float32)
    targets = RNG.standard_normal((4, 5)).astype(np.float32)
    return network.get_concrete_function(spec), (PICTURES[:, 0, 0],), targets, "mse"


class Block(keras.Model):
    """A subclassed Keras model with batch norm, grouped convolution, dropout and a regularizer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(6, 3, 2, "same", kernel_regularizer="l2")
        self.norm = layers.BatchNormalization(momentum=0.9)
        self.frozen = layers.BatchNormalization(trainable=False)
        self.grouped = layers.Conv2D(6, 3, groups=3, use_bias=False)
        self.drop = layers.Dropout(0.3)
        self.head = layers.Dense(4)

    def call(self, x: Any, training: bool = False) -> Any:
        x = keras.activations.relu(self.norm(self.conv(x), training=training))
        x = keras.activations.swish(self.frozen(self.grouped(x), training=training))
        return self.head(self.drop(layers.Flatten()(x), training=training))


def subclassed() -> Given:
    model = Block()
    model(PICTURES)
    return model, (PICTURES,), LABELS, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def recurrent() -> Given:
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(20, 6),
            layers.LSTM(5, return_sequences=True),
            layers.Bidirectional(layers.GRU(4)),
            layers.Dense(3, activation="softmax"),
        ]
    )
    return model, (IDS,), LABELS[:3] % 3, keras.losses.SparseCategoricalCrossentropy()


def transformer() -> Given:
    """A causal transformer with masked padding and dropout."""
    ids = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(ids)
    y = layers.LayerNormalization()(x)
    y = layers.MultiHeadAttention(2, 4, dropout=0.1)(y, y, use_causal_mask=True)
    x = layers.Add()([x, y])
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dropout(0.2)(layers.Dense(8)(y))])
    return keras.Model(ids, layers.Dense(20)(x)), (IDS,), NEXT, "cross_entropy"


def mobilenet() -> Given:
    options = {"weights": None, "classes": 4, "classifier_activation": None, "alpha": 0.35}
    model = keras.applications.MobileNetV2((32, 32, 3), **options)
    pictures = RNG.standard_normal((4, 32, 32, 3), np.float32)
    return model, (pictures,), LABELS, "cross_entropy"


MODELS: dict[str, Callable[[], Given]] = {
    "raw_function": raw_function,
    "module": module,
    "concrete": concrete,
    "subclassed": subclassed,
    "recurrent": recurrent,
    "transformer": transformer,
    "mobilenet": mobilenet,
}


def made(name: str) -> Given:
    """A model with the same weights in every run."""
    keras.utils.set_random_seed(11)
    return MODELS[name]()
