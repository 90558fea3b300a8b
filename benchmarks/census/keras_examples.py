"""Models in the manner of the Keras code examples, at a small size, on the JAX backend.

The module imports Keras: only `benchmarks.census.keras_models` imports it, when a job is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pock.compiler import Job
from pock_ir.passes.optimizer import SGD

CLASSES = 7
WORDS = 60

CROSS_ENTROPY = "cross_entropy"


def floats(*shape: int) -> Any:
    """Normal numbers."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def labels(*shape: int, limit: int = CLASSES) -> Any:
    """Integers below `limit`."""
    return np.random.default_rng(1).integers(0, limit, shape).astype(np.int32)


def sentences(batch: int, length: int) -> Any:
    """Token ids from 1; the end of the last sentence is padding, 0."""
    ids = np.random.default_rng(0).integers(1, WORDS, (batch, length)).astype(np.int32)
    ids[-1, length // 2 :] = 0
    return ids


def _job(model: Any, inputs: Any, targets: Any, loss: Any = CROSS_ENTROPY) -> Job:
    return Job(model, (inputs,), targets, loss, SGD(0.01), name="net")


class TokensAndPositions(layers.Layer):
    """Embeddings of words plus embeddings of their positions."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.words = layers.Embedding(WORDS, width)
        self.positions = layers.Embedding(length, width)

    def call(self, ids: Any) -> Any:
        return self.words(ids) + self.positions(ops.arange(0, ops.shape(ids)[-1], 1))


class TransformerBlock(layers.Layer):
    """Attention and a perceptron with dropout, norms behind."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(heads, width)
        self.perceptron = keras.Sequential(
            [layers.Dense(hidden, activation="relu"), layers.Dense(width)]
        )
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropouts = [layers.Dropout(0.1) for _ in range(2)]

    def call(self, x: Any, training: bool = False) -> Any:
        y = self.dropouts[0](self.attention(x, x), training=training)
        x = self.norms[0](x + y)
        y = self.dropouts[1](self.perceptron(x), training=training)
        return self.norms[1](x + y)


def text_transformer() -> Job:
    """Text classification with a transformer."""
    ids = keras.Input((12,), dtype="int32")
    x = TransformerBlock(16, 2, 32)(TokensAndPositions(12, 16)(ids))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(0.1)(layers.Dense(20, activation="relu")(x))
    return _job(keras.Model(ids, layers.Dense(2)(x)), sentences(4, 12), labels(4, limit=2))


def bidirectional_lstm() -> Job:
    """Two LSTMs in both directions over reviews, a sigmoid."""
    ids = keras.Input((10,), dtype="int32")
    x = layers.Embedding(WORDS, 12, mask_zero=True)(ids)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(8))(x)
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid")(x))
    truth = labels(4, 1, limit=2).astype(np.float32)
    return _job(model, sentences(4, 10), truth, keras.losses.BinaryCrossentropy())


def gru_forecast() -> Job:
    """A time series with several features, the next value of one of them."""
    x = series = keras.Input((14, 5))
    x = layers.GRU(12, return_sequences=True)(x)
    x = layers.GRU(12, dropout=0.1)(x)
    return _job(keras.Model(series, layers.Dense(1)(x)), floats(6, 14, 5), floats(6, 1), "mse")


def convolutional_lstm() -> Job:
    """The next frame of a video."""
    frames = keras.Input((4, 12, 12, 1))
    x = layers.ConvLSTM2D(6, 3, padding="same", return_sequences=True)(frames)
    x = layers.BatchNormalization()(x)
    x = layers.ConvLSTM2D(6, 1, padding="same", return_sequences=True)(x)
    x = layers.Conv3D(1, 3, padding="same", activation="sigmoid")(x)
    targets = 1.0 / (1.0 + np.exp(-floats(2, 4, 12, 12, 1)))
    model = keras.Model(frames, x)
    return _job(model, floats(2, 4, 12, 12, 1), targets, keras.losses.BinaryCrossentropy())


class Patches(layers.Layer):
    """Squares of a picture as rows."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def call(self, x: Any) -> Any:
        patches = ops.image.extract_patches(x, self.side)
        batch, rows, columns, width = ops.shape(patches)
        return ops.reshape(patches, (batch, rows * columns, width))


class MixerBlock(layers.Layer):
    """A perceptron over patches, and one over channels."""

    def __init__(self, patches: int, width: int, hidden: int) -> None:
        super().__init__()
        pairs = ((hidden, patches), (hidden, width))
        self.mixers = [
            keras.Sequential([layers.Dense(a, activation="gelu"), layers.Dense(b)])
            for a, b in pairs
        ]
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]

    def call(self, x: Any) -> Any:
        y = ops.transpose(self.mixers[0](ops.transpose(self.norms[0](x), (0, 2, 1))), (0, 2, 1))
        x = x + y
        return x + self.mixers[1](self.norms[1](x))


def _patched(blocks: Callable[[Any], Any]) -> Job:
    """A classifier of 16x16 pictures whose 16 patches, of width 24, go through `blocks`."""
    pictures = keras.Input((16, 16, 3))
    x = layers.Dense(24)(Patches(4)(pictures))
    x = layers.GlobalAveragePooling1D()(blocks(x))
    model = keras.Model(pictures, layers.Dense(CLASSES)(layers.Dropout(0.2)(x)))
    return _job(model, floats(4, 16, 16, 3), labels(4))


def mlp_mixer() -> Job:
    """Perceptrons over patches and channels."""
    return _patched(keras.Sequential([MixerBlock(16, 24, 32) for _ in range(2)]))


class FourierBlock(layers.Layer):
    """The real part of a Fourier transform in the place of attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.perceptron = keras.Sequential(
            [layers.Dense(2 * width, activation="gelu"), layers.Dense(width)]
        )
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]

    def call(self, x: Any) -> Any:
        real, _ = ops.fft2((x, ops.zeros_like(x)))
        x = self.norms[0](x + real)
        return self.norms[1](x + self.perceptron(x))


def fnet() -> Job:
    """Fourier transforms over patches and channels."""
    return _patched(keras.Sequential([FourierBlock(24)]))


class GatedBlock(layers.Layer):
    """A perceptron whose halves gate each other over the patches."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.enter = layers.Dense(2 * width, activation="gelu")
        self.spatial = layers.Dense(patches, bias_initializer="ones")
        self.leave = layers.Dense(width)
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]

    def call(self, x: Any) -> Any:
        u, v = ops.split(self.enter(self.norms[0](x)), 2, axis=2)
        v = ops.transpose(self.norms[1](v), (0, 2, 1))
        return x + self.leave(u * ops.transpose(self.spatial(v), (0, 2, 1)))


def gated_mlp() -> Job:
    """Gated perceptrons over patches."""
    return _patched(keras.Sequential([GatedBlock(16, 24) for _ in range(2)]))


def vision_transformer() -> Job:
    """A transformer over patches with learned positions."""

    def blocks(x: Any) -> Any:
        places = layers.Embedding(16, 24)(ops.expand_dims(ops.arange(16), 0))
        x = x + places
        for _ in range(2):
            y = layers.LayerNormalization(epsilon=1e-6)(x)
            x = layers.Add()([layers.MultiHeadAttention(2, 12, dropout=0.1)(y, y), x])
            y = layers.LayerNormalization(epsilon=1e-6)(x)
            y = layers.Dropout(0.1)(layers.Dense(48, activation=keras.activations.gelu)(y))
            x = layers.Add()([layers.Dense(24)(y), x])
        return layers.LayerNormalization(epsilon=1e-6)(x)

    return _patched(blocks)


def conv_mixer() -> Job:
    """Depthwise and pointwise convolutions over patches."""
    pictures = keras.Input((16, 16, 3))

    def normed(x: Any) -> Any:
        return layers.BatchNormalization()(layers.Activation("gelu")(x))

    x = normed(layers.Conv2D(24, 2, strides=2)(pictures))
    for _ in range(3):
        y = normed(layers.DepthwiseConv2D(5, padding="same")(x))
        x = normed(layers.Conv2D(24, 1)(layers.Add()([y, x])))
    model = keras.Model(pictures, layers.Dense(CLASSES)(layers.GlobalAvgPool2D()(x)))
    return _job(model, floats(8, 16, 16, 3), labels(8))


def autoencoder() -> Job:
    """Pictures to a small code and back by transposed convolutions."""
    pictures = keras.Input((28, 28, 1))
    x = pictures
    for _ in range(2):
        x = layers.Conv2D(16, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2, padding="same")(x)
    for _ in range(2):
        x = layers.Conv2DTranspose(16, 3, strides=2, activation="relu", padding="same")(x)
    x = layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x)
    given = 1.0 / (1.0 + np.exp(-floats(4, 28, 28, 1)))
    return _job(keras.Model(pictures, x), given, given, keras.losses.BinaryCrossentropy())


class Sampling(layers.Layer):
    """A normal number of a given mean and log variance, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, mean: Any, log_variance: Any, training: bool = False) -> Any:
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


def variational_autoencoder() -> Job:
    """An autoencoder that draws its code."""
    pictures = keras.Input((196,))
    hidden = layers.Dense(32, activation="relu")(pictures)
    code = Sampling()(layers.Dense(4)(hidden), layers.Dense(4)(hidden))
    y = layers.Dense(196)(layers.Dense(32, activation="relu")(code))
    return _job(keras.Model(pictures, y), floats(4, 196), floats(4, 196), "mse")


def series_cnn() -> Job:
    """One-dimensional convolutions with batch norm over a time series."""
    x = series = keras.Input((40, 1))
    for _ in range(3):
        x = layers.Conv1D(16, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x))
    return _job(keras.Model(series, x), floats(8, 40, 1), labels(8))


def series_transformer() -> Job:
    """Attention and convolutions of width 1 over a time series."""
    x = series = keras.Input((20, 1))
    for _ in range(2):
        y = layers.MultiHeadAttention(key_dim=16, num_heads=2, dropout=0.25)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.25)(y)) + x
        y = layers.Conv1D(4, 1, activation="relu")(x)
        y = layers.Conv1D(1, 1)(layers.Dropout(0.25)(y))
        x = layers.LayerNormalization(epsilon=1e-6)(y) + x
    x = layers.GlobalAveragePooling1D(data_format="channels_first")(x)
    x = layers.Dropout(0.4)(layers.Dense(16, activation="relu")(x))
    return _job(keras.Model(series, layers.Dense(CLASSES)(x)), floats(8, 20, 1), labels(8))


def adding_lstm() -> Job:
    """A sum as characters to its result as characters."""
    characters = keras.Input((7, 12))
    x = layers.RepeatVector(4)(layers.LSTM(16)(characters))
    x = layers.LSTM(16, return_sequences=True)(x)
    model = keras.Model(characters, layers.Dense(12, activation="softmax")(x))
    given = np.eye(12, dtype=np.float32)[labels(4, 7, limit=12)]
    targets = np.eye(12, dtype=np.float32)[labels(4, 4, limit=12)]
    return _job(model, given, targets, keras.losses.CategoricalCrossentropy())


def translating_lstm() -> Job:
    """An encoder whose states start a decoder."""
    source, target = keras.Input((6, 12)), keras.Input((5, 12))
    _, *states = layers.LSTM(16, return_state=True)(source)
    x, *_ = layers.LSTM(16, return_sequences=True, return_state=True)(target, initial_state=states)
    model = keras.Model([source, target], layers.Dense(12)(x))
    eye = np.eye(12, dtype=np.float32)
    given = [eye[labels(4, 6, limit=12)], eye[labels(4, 5, limit=12)]]
    return _job(model, given, labels(4, 5, limit=12))


def unet() -> Job:
    """Segmentation by separable convolutions down and transposed ones up, with shortcuts."""
    pictures = keras.Input((32, 32, 3))

    def normed(x: Any) -> Any:
        return layers.BatchNormalization()(x)

    x = layers.Activation("relu")(normed(layers.Conv2D(8, 3, strides=2, padding="same")(pictures)))
    kept = x
    for width in (8, 16):
        x = normed(layers.SeparableConv2D(width, 3, padding="same")(layers.Activation("relu")(x)))
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        kept = layers.Conv2D(width, 1, strides=2, padding="same")(kept)
        x = kept = layers.add([x, kept])
    for width in (16, 8, 8):
        x = layers.Conv2DTranspose(width, 3, padding="same")(layers.Activation("relu")(x))
        x = layers.UpSampling2D(2)(normed(x))
        kept = layers.Conv2D(width, 1, padding="same")(layers.UpSampling2D(2)(kept))
        x = kept = layers.add([x, kept])
    model = keras.Model(pictures, layers.Conv2D(3, 3, padding="same")(x))
    return _job(model, floats(4, 32, 32, 3), labels(4, 32, 32, limit=3))


def super_resolution() -> Job:
    """Convolutions whose channels become pixels."""
    pictures = keras.Input((12, 12, 1))
    x = pictures
    for width in (16, 16, 9):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = ops.reshape(x, (-1, 12, 12, 3, 3))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4)), (-1, 36, 36, 1))
    return _job(keras.Model(pictures, x), floats(2, 12, 12, 1), floats(2, 36, 36, 1), "mse")


def dilated_segmentation() -> Job:
    """Convolutions of several dilations side by side, enlarged bilinearly."""
    pictures = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(pictures)
    pooled = layers.AveragePooling2D(8)(x)
    pooled = layers.UpSampling2D(8, interpolation="bilinear")(layers.Conv2D(8, 1)(pooled))
    sides = [layers.Conv2D(8, 3, dilation_rate=rate, padding="same")(x) for rate in (1, 2, 3)]
    x = layers.Concatenate()([pooled, *sides])
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x)))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    model = keras.Model(pictures, layers.Conv2D(3, 1)(x))
    return _job(model, floats(2, 16, 16, 3), labels(2, 16, 16, limit=3))


def point_net() -> Job:
    """Points in space; a learned, nearly orthogonal transform; the maximum over points."""
    points = keras.Input((24, 3))

    def conv(x: Any, width: int) -> Any:
        x = layers.BatchNormalization(momentum=0.0)(layers.Conv1D(width, 1)(x))
        return layers.Activation("relu")(x)

    x = layers.GlobalMaxPooling1D()(conv(conv(points, 8), 16))
    bias = keras.initializers.Constant(np.eye(3).flatten())
    matrix = layers.Dense(
        9,
        bias_initializer=bias,
        activity_regularizer=keras.regularizers.OrthogonalRegularizer(0.001),
    )(x)
    x = layers.Dot(axes=(2, 1))([points, layers.Reshape((3, 3))(matrix)])
    x = layers.GlobalMaxPooling1D()(conv(conv(x, 8), 16))
    x = layers.Dropout(0.3)(layers.Dense(16, activation="relu")(x))
    return _job(keras.Model(points, layers.Dense(CLASSES)(x)), floats(8, 24, 3), labels(8))


def wide_and_deep() -> Job:
    """Numbers and categories: a linear part, and a perceptron over embeddings."""
    numbers, categories = keras.Input((5,)), keras.Input((3,), dtype="int32")
    one_hot = ops.reshape(ops.one_hot(categories, 6), (-1, 18))
    wide = layers.BatchNormalization()(layers.Concatenate()([numbers, one_hot]))
    embedded = [layers.Embedding(6, 3)(categories[:, i]) for i in range(3)]
    deep = layers.Concatenate()([numbers, *embedded])
    for _ in range(2):
        deep = layers.BatchNormalization()(layers.Dense(16)(deep))
        deep = layers.Dropout(0.1)(layers.ReLU()(deep))
    x = layers.Dense(2)(layers.Concatenate()([wide, deep]))
    return _job(
        keras.Model([numbers, categories], x),
        [floats(16, 5), labels(16, 3, limit=6)],
        labels(16, limit=2),
    )


class Recommender(keras.Model):
    """The product of the embeddings of a user and a film, and a bias of each."""

    def __init__(self, users: int, films: int, width: int) -> None:
        super().__init__()
        options = {"embeddings_initializer": "he_normal"}
        regular = keras.regularizers.L2(1e-3)
        self.user = layers.Embedding(users, width, embeddings_regularizer=regular, **options)
        self.film = layers.Embedding(films, width, embeddings_regularizer=regular, **options)
        self.user_bias, self.film_bias = layers.Embedding(users, 1), layers.Embedding(films, 1)

    def call(self, pairs: Any) -> Any:
        users, films = pairs[:, 0], pairs[:, 1]
        product = ops.sum(self.user(users) * self.film(films), axis=1, keepdims=True)
        return ops.sigmoid(product + self.user_bias(users) + self.film_bias(films))


def collaborative_filtering() -> Job:
    """Ratings of films by users."""
    model, pairs = Recommender(9, 9, 8), labels(12, 2, limit=9)
    model(pairs)
    ratings = np.linspace(0.0, 1.0, 12, dtype=np.float32)[:, None]
    return _job(model, pairs, ratings, keras.losses.BinaryCrossentropy())


class Router(layers.Layer):
    """Each token goes to the expert with the highest gate, which scales its result."""

    def __init__(self, experts: int, width: int) -> None:
        super().__init__()
        self.gate = layers.Dense(experts)
        self.experts = [layers.Dense(width, activation="relu") for _ in range(experts)]

    def call(self, x: Any) -> Any:
        gates, chosen = ops.top_k(ops.softmax(self.gate(x)), k=1)
        every = ops.stack([expert(x) for expert in self.experts], axis=-2)
        found = ops.take_along_axis(every, chosen[..., None], axis=-2)
        return ops.squeeze(found, axis=-2) * gates


def switch_transformer() -> Job:
    """Text classification whose perceptrons are chosen by a router."""
    ids = keras.Input((8,), dtype="int32")
    x = TokensAndPositions(8, 16)(ids)
    y = layers.MultiHeadAttention(2, 8)(x, x)
    x = layers.LayerNormalization()(x + y)
    x = layers.LayerNormalization()(x + Router(3, 16)(x))
    x = layers.Dense(2)(layers.GlobalAveragePooling1D()(x))
    return _job(keras.Model(ids, x), sentences(4, 8), labels(4, limit=2))


def augmented_cnn() -> Job:
    """A small CNN that turns its pictures at random while it trains."""
    x = pictures = keras.Input((16, 16, 3))
    x = layers.RandomFlip("horizontal")(x)
    x = layers.RandomRotation(0.1)(x)
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
    x = layers.Dense(CLASSES)(layers.Flatten()(x))
    return _job(keras.Model(pictures, x), floats(4, 16, 16, 3), labels(4))


def made(name: str) -> Job:
    """The job of the example `name`, with the same weights in every process."""
    # Keras takes the seeds of its initializers from here.
    random.seed(1)
    return globals()[name]()
