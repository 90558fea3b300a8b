"""Small JAX models of every library, with their inputs, for whole training runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pock.jax
from pock.compiler import Job
from pock_ir.passes.optimizer import SGD, Adam, AdamW

CLASSES = 7
SEED = 0


def floats(*shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(SEED).standard_normal(shape), jnp.float32)


def tokens(*shape: int, limit: int = 50) -> Any:
    return jnp.asarray(np.random.default_rng(SEED).integers(0, limit, shape), jnp.int32)


class LinenCNN(nn.Module):
    """Convolutions of all kinds, batch and group norm, pooling, dropout; SAME with stride 2."""

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = nn.Conv(8, (3, 3), strides=(2, 2), padding="SAME", use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.Conv(8, (3, 3), feature_group_count=8, padding="SAME")(x)
        x = nn.relu6(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.silu(nn.GroupNorm(4)(nn.Conv(16, (1, 1))(x)))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        x = nn.avg_pool(x, (2, 2), strides=(2, 2), padding="SAME")
        x = nn.Dropout(0.25, deterministic=not train)(x.mean((1, 2)))
        return nn.Dense(CLASSES)(x)


class Block(nn.Module):
    """Attention and a perceptron, each behind a layer norm."""

    heads: int
    activation: Callable[..., Any] = nn.gelu

    @nn.compact
    def __call__(self, x: Any, mask: Any, train: bool) -> Any:
        y = nn.LayerNorm()(x)
        y = nn.MultiHeadDotProductAttention(
            num_heads=self.heads, dropout_rate=0.1, deterministic=not train
        )(y, y, mask=mask)
        x = x + y
        y = nn.Dense(3 * x.shape[-1])(nn.LayerNorm()(x))
        y = nn.Dense(x.shape[-1])(self.activation(y))
        return x + nn.Dropout(0.1, deterministic=not train)(y)


class LinenTransformer(nn.Module):
    """A causal language model with its table tied to its output.

    Every third word is padding: where it comes first, the first query sees no key.
    """

    words: int = 50
    width: int = 16

    @nn.compact
    def __call__(self, ids: Any, train: bool) -> Any:
        table = nn.Embed(self.words, self.width)
        positions = nn.Embed(32, self.width)(jnp.arange(ids.shape[1]))
        x = table(ids) + positions[None]
        padding = nn.make_attention_mask(jnp.ones_like(ids), ids % 3 > 0)
        mask = nn.combine_masks(nn.make_causal_mask(ids), padding)
        for _ in range(2):
            x = Block(2)(x, mask, train)
        return table.attend(nn.LayerNorm()(x))


class LinenRNN(nn.Module):
    """Recurrent cells in both directions, which make their first carry themselves, in f32.

    The sum of what was drawn is carried along and read by nobody.
    """

    @nn.compact
    def __call__(self, x: Any, lengths: Any) -> Any:
        cells = (nn.RNN(nn.OptimizedLSTMCell(6)), nn.RNN(nn.GRUCell(6)))
        x = nn.Bidirectional(*cells)(x, seq_lengths=lengths)
        if self.has_rng("dropout"):
            key = self.make_rng("dropout")
            x, _ = jax.lax.scan(lambda c, r: (c + jax.random.normal(key), r), 0.0, x)[::-1]
        return nn.Dense(CLASSES)(x[:, -1])


class NnxBlock(nnx.Module):
    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            num_heads=2, in_features=width, decode=False, rngs=rngs
        )
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.wide = nnx.Linear(width, 3 * width, rngs=rngs)
        self.narrow = nnx.Linear(3 * width, width, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.dropout(self.narrow(nnx.gelu(self.wide(self.norm2(x)))))


class NnxTransformer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.table = nnx.Embed(50, 16, rngs=rngs)
        self.blocks = nnx.List([NnxBlock(16, rngs) for _ in range(2)])
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.head = nnx.Linear(16, CLASSES, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.table(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def scan_mlp(params: Any, x: Any) -> Any:
    """Equal layers, their weights stacked."""

    def layer(x: Any, weights: Any) -> Any:
        w, b = weights
        return jnp.tanh(x @ w + b) + x, jnp.sum(x)

    x, sums = jax.lax.scan(layer, x @ params["in"], (params["w"], params["b"]))
    return x @ params["out"] + 0.01 * sums.mean()


class Perceptron(eqx.Module):
    """One sample at a time, with a normalisation and dropout."""

    layers: list[eqx.nn.Linear]
    norm: eqx.nn.LayerNorm
    dropout: eqx.nn.Dropout

    def __init__(self, key: Any) -> None:
        first, second = jax.random.split(key)
        self.layers = [
            eqx.nn.Linear(6, 12, key=first),
            eqx.nn.Linear(12, CLASSES, key=second),
        ]
        self.norm = eqx.nn.LayerNorm(12)
        self.dropout = eqx.nn.Dropout(0.2)

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        x = self.norm(jax.nn.gelu(self.layers[0](x), approximate=False))
        return self.layers[1](self.dropout(x, key=key))


def _linen_cnn() -> tuple[Any, Any, Any]:
    x = floats(4, 14, 14, 3)
    variables = LinenCNN().init(jax.random.key(SEED), x, train=False)
    return pock.jax.linen(LinenCNN(), variables), (x,), tokens(4, limit=CLASSES)


def _linen_transformer() -> tuple[Any, Any, Any]:
    ids = tokens(2, 9)
    model = LinenTransformer()
    variables = model.init(jax.random.key(SEED), ids, train=False)
    return pock.jax.linen(model, variables), (ids,), jnp.roll(ids, -1, 1)


def _linen_rnn() -> tuple[Any, Any, Any]:
    x, lengths = floats(3, 5, 4), jnp.array([5, 3, 1], jnp.int32)
    variables = LinenRNN().init(jax.random.key(SEED), x, lengths)
    return pock.jax.linen(LinenRNN(), variables), (x, lengths), tokens(3, limit=CLASSES)


def _nnx_transformer() -> tuple[Any, Any, Any]:
    return NnxTransformer(nnx.Rngs(SEED)), (tokens(3, 8),), tokens(3, limit=CLASSES)


def _scan_mlp() -> tuple[Any, Any, Any]:
    params = {
        "in": floats(5, 8) * 0.4,
        "w": floats(3, 8, 8) * 0.3,
        "b": floats(3, 8) * 0.1,
        "out": floats(8, CLASSES) * 0.3,
    }
    return pock.jax.Model(scan_mlp, params), (floats(6, 5),), tokens(6, limit=CLASSES)


def _equinox() -> tuple[Any, Any, Any]:
    model = pock.jax.equinox(Perceptron(jax.random.key(SEED)), batched=True, key="key")
    return model, (floats(6, 6),), tokens(6, limit=CLASSES)


MODELS: Mapping[str, tuple[Callable[[], tuple[Any, Any, Any]], Any]] = {
    "linen-cnn": (_linen_cnn, SGD(0.05, momentum=0.9)),
    "linen-transformer": (_linen_transformer, AdamW(1e-3)),
    "linen-rnn": (_linen_rnn, SGD(0.05)),
    "nnx-transformer": (_nnx_transformer, SGD(0.05)),
    "scan-mlp": (_scan_mlp, Adam(1e-2)),
    "equinox": (_equinox, SGD(0.1, momentum=0.9, nesterov=True)),
}
"""Name -> what gives model, inputs and targets, and an optimizer."""


def job(name: str, **changes: Any) -> Job:
    """A job that trains the model `name`."""
    make, optimizer = MODELS[name]
    model, inputs, targets = make()
    return Job(model, inputs, targets, **{"optimizer": optimizer, "name": "net", **changes})
