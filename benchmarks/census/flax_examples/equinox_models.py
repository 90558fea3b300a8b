"""Equinox models: a CNN, a GRU classifier, a vision transformer, a mixer, BERT's encoder."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import pock.jax
from benchmarks.census.flax_examples.data import CLASSES, floats, labels, make_job
from pock.compiler import Job


def _keys(key: Any, count: int) -> Any:
    return iter(jax.random.split(key, count))


class CNN(eqx.Module):
    """A convolution, a pool and dense layers; takes [1, 28, 28]."""

    layers: list[Any]

    def __init__(self, key: Any) -> None:
        keys = _keys(key, 4)
        self.layers = [
            eqx.nn.Conv2d(1, 3, kernel_size=4, key=next(keys)),
            eqx.nn.MaxPool2d(kernel_size=2, stride=1),
            jax.nn.relu,
            jnp.ravel,
            eqx.nn.Linear(1728, 64, key=next(keys)),
            jax.nn.sigmoid,
            eqx.nn.Linear(64, 64, key=next(keys)),
            jax.nn.relu,
            eqx.nn.Linear(64, CLASSES, key=next(keys)),
            jax.nn.log_softmax,
        ]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class RNN(eqx.Module):
    """A GRU over a sequence, and the logit of its last state."""

    cell: eqx.nn.GRUCell
    linear: eqx.nn.Linear
    bias: Any

    def __init__(self, key: Any, width: int = 16) -> None:
        first, second = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(2, width, key=first)
        self.linear = eqx.nn.Linear(width, 1, use_bias=False, key=second)
        self.bias = jnp.zeros(1)

    def __call__(self, x: Any) -> Any:
        start = jnp.zeros(self.cell.hidden_size)
        state, _ = jax.lax.scan(lambda state, row: (self.cell(row, state), None), start, x)
        return jax.nn.sigmoid(self.linear(state) + self.bias)[0]


class AttentionBlock(eqx.Module):
    """Attention and a perceptron behind norms, with dropout."""

    norms: list[eqx.nn.LayerNorm]
    attention: eqx.nn.MultiheadAttention
    wide: eqx.nn.Linear
    narrow: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self, width: int, key: Any) -> None:
        keys = _keys(key, 3)
        self.norms = [eqx.nn.LayerNorm(width) for _ in range(2)]
        self.attention = eqx.nn.MultiheadAttention(4, width, key=next(keys))
        self.wide = eqx.nn.Linear(width, 2 * width, key=next(keys))
        self.narrow = eqx.nn.Linear(2 * width, width, key=next(keys))
        self.dropout = eqx.nn.Dropout(0.1)

    def __call__(self, x: Any, key: Any) -> Any:
        first, second = (None, None) if key is None else jax.random.split(key)
        y = jax.vmap(self.norms[0])(x)
        x = x + self.attention(y, y, y)
        y = jax.nn.gelu(jax.vmap(self.wide)(jax.vmap(self.norms[1])(x)))
        y = jax.vmap(self.narrow)(self.dropout(y, key=first))
        return x + self.dropout(y, key=second)


class VisionTransformer(eqx.Module):
    """Patches, positions, a class token, blocks; takes [3, 16, 16]."""

    patches: eqx.nn.Linear
    positions: Any
    token: Any
    blocks: list[AttentionBlock]
    head: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    side: int

    def __init__(self, key: Any, width: int = 32) -> None:
        keys = _keys(key, 8)
        self.side = 4
        self.patches = eqx.nn.Linear(3 * self.side**2, width, key=next(keys))
        self.positions = jax.random.normal(next(keys), (17, width))
        self.token = jax.random.normal(next(keys), (1, width))
        self.blocks = [AttentionBlock(width, next(keys)) for _ in range(2)]
        self.head = eqx.nn.Linear(width, CLASSES, key=next(keys))
        self.dropout = eqx.nn.Dropout(0.1)

    def __call__(self, x: Any, key: Any = None) -> Any:
        channels, height, _ = x.shape
        count = height // self.side
        x = x.reshape(channels, count, self.side, count, self.side)
        x = x.transpose(1, 3, 0, 2, 4).reshape(count * count, -1)
        x = jnp.concatenate([self.token, jax.vmap(self.patches)(x)]) + self.positions
        keys = [None] * 3 if key is None else jax.random.split(key, 3)
        x = self.dropout(x, key=keys[0])
        for block, part in zip(self.blocks, keys[1:], strict=True):
            x = block(x, part)
        return self.head(x[0])


class MixerBlock(eqx.Module):
    """Mixes patches, then channels."""

    patches: eqx.nn.MLP
    channels: eqx.nn.MLP
    norms: list[eqx.nn.LayerNorm]

    def __init__(self, channels: int, patches: int, key: Any) -> None:
        first, second = jax.random.split(key)
        self.patches = eqx.nn.MLP(patches, patches, 32, depth=1, key=first)
        self.channels = eqx.nn.MLP(channels, channels, 48, depth=1, key=second)
        self.norms = [eqx.nn.LayerNorm((channels, patches)), eqx.nn.LayerNorm((patches, channels))]

    def __call__(self, y: Any) -> Any:
        y = y + jax.vmap(self.patches)(self.norms[0](y))
        y = y.T
        y = y + jax.vmap(self.channels)(self.norms[1](y))
        return y.T


class ScoreMixer(eqx.Module):
    """The mixer of the score-based diffusion example: a picture and a time to a score."""

    enter: eqx.nn.Conv2d
    leave: eqx.nn.ConvTranspose2d
    blocks: list[MixerBlock]
    norm: eqx.nn.LayerNorm

    def __init__(self, key: Any, width: int = 16, side: int = 4) -> None:
        keys = _keys(key, 4)
        self.enter = eqx.nn.Conv2d(2, width, side, stride=side, key=next(keys))
        self.leave = eqx.nn.ConvTranspose2d(width, 1, side, stride=side, key=next(keys))
        self.blocks = [MixerBlock(width, 16, next(keys)) for _ in range(2)]
        self.norm = eqx.nn.LayerNorm((width, 16))

    def __call__(self, x: Any, time: Any) -> Any:
        time = jnp.broadcast_to(time / 10.0, (1, *x.shape[1:]))
        y = self.enter(jnp.concatenate([x, time]))
        shape = y.shape
        y = y.reshape(shape[0], -1)
        for block in self.blocks:
            y = block(y)
        return self.leave(self.norm(y).reshape(shape))


class ResidualUnit(eqx.Module):
    """A U-net of one level with group norms, a skip and nearest upsampling; takes [3, 16, 16]."""

    convs: list[Any]
    norms: list[eqx.nn.GroupNorm]
    up: eqx.nn.ConvTranspose2d

    def __init__(self, key: Any) -> None:
        keys = _keys(key, 5)
        sizes = ((3, 8), (8, 16), (16, 8), (8, 2))
        self.convs = [eqx.nn.Conv2d(i, o, 3, padding=1, key=next(keys)) for i, o in sizes]
        self.norms = [eqx.nn.GroupNorm(2, width) for width in (8, 16, 8)]
        self.up = eqx.nn.ConvTranspose2d(16, 8, 2, stride=2, key=next(keys))

    def __call__(self, x: Any) -> Any:
        first, second, third, last = self.convs
        top = jax.nn.silu(self.norms[0](first(x)))
        low = jax.nn.silu(self.norms[1](second(eqx.nn.AvgPool2d(2, 2)(top))))
        y = jnp.concatenate([self.up(low), top])
        y = jax.nn.silu(self.norms[2](third(y)))
        nearest = jnp.repeat(jnp.repeat(low[:8], 2, axis=1), 2, axis=2)
        return last(y + nearest)


def _job(module: Any, inputs: tuple[Any, ...], targets: Any, loss: Any, **options: Any) -> Job:
    model = pock.jax.equinox(module, batched=True, **options)
    return make_job(model, inputs, targets, loss)


def _likelihood(log_probabilities: Any, targets: Any) -> Any:
    chosen = jnp.take_along_axis(log_probabilities, targets[:, None], axis=1)
    return -jnp.mean(chosen)


def _binary(predictions: Any, targets: Any) -> Any:
    known = targets * jnp.log(predictions) + (1 - targets) * jnp.log(1 - predictions)
    return -jnp.mean(known)


def _pixel_classes(logits: Any, targets: Any) -> Any:
    logs = jax.nn.log_softmax(logits, axis=1)
    return -jnp.mean(jnp.take_along_axis(logs, targets[:, None], axis=1))


def equinox_cnn() -> Job:
    return _job(CNN(jax.random.key(0)), (floats(8, 1, 28, 28),), labels(8), _likelihood)


def equinox_rnn() -> Job:
    truth = labels(6, limit=2).astype(jnp.float32)
    return _job(RNN(jax.random.key(0)), (floats(6, 16, 2),), truth, _binary)


def equinox_vit() -> Job:
    model = VisionTransformer(jax.random.key(0))
    return _job(model, (floats(4, 3, 16, 16),), labels(4), "cross_entropy", key="key")


def equinox_score_mixer() -> Job:
    pictures, times = floats(4, 1, 16, 16), jnp.linspace(0.5, 9.0, 4)
    return _job(ScoreMixer(jax.random.key(0)), (pictures, times), pictures * 0.3, "mse")


def equinox_unet() -> Job:
    model = ResidualUnit(jax.random.key(0))
    return _job(model, (floats(2, 3, 16, 16),), labels(2, 16, 16, limit=2), _pixel_classes)
