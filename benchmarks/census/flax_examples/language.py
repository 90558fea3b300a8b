"""Transformers: the language model of the LM1B example, the translator of WMT, the tagger."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from benchmarks.census.flax_examples.data import labels, linen_job, sentences
from pock.compiler import Job

WORDS = 60
WIDTH = 32
LENGTH = 12
TAGS = 9


def sinusoids(length: int, width: int) -> Any:
    """Positions [1, length, width]: sines, then cosines, of falling frequency."""
    rates = np.exp(-np.log(10000.0) * np.arange(width // 2) / (width // 2 - 1))
    angles = np.arange(length)[:, None] * rates
    return jnp.asarray(np.concatenate([np.sin(angles), np.cos(angles)], 1)[None], jnp.float32)


class Perceptron(nn.Module):
    """Two dense layers with dropout."""

    deterministic: bool

    @nn.compact
    def __call__(self, x: Any) -> Any:
        width = x.shape[-1]
        x = nn.Dropout(0.1)(nn.relu(nn.Dense(4 * width)(x)), self.deterministic)
        return nn.Dropout(0.1)(nn.Dense(width)(x), self.deterministic)


class Block(nn.Module):
    """Self-attention, attention to `encoded` if there is any, and a perceptron; norms first."""

    deterministic: bool
    heads: int = 4
    broadcast_dropout: bool = False

    @nn.compact
    def __call__(self, x: Any, mask: Any, encoded: Any = None, cross_mask: Any = None) -> Any:
        y = nn.LayerNorm()(x)
        x = x + nn.Dropout(0.1)(self._attention()(y, y, mask=mask), self.deterministic)
        if encoded is not None:
            y = self._attention()(nn.LayerNorm()(x), encoded, mask=cross_mask)
            x = x + nn.Dropout(0.1)(y, self.deterministic)
        return x + Perceptron(self.deterministic)(nn.LayerNorm()(x))

    def _attention(self) -> Any:
        return nn.MultiHeadDotProductAttention(
            num_heads=self.heads,
            use_bias=False,
            broadcast_dropout=self.broadcast_dropout,
            dropout_rate=0.1,
            deterministic=self.deterministic,
        )


class Embedded(nn.Module):
    """Words of a shared table at their positions."""

    deterministic: bool
    table: Any

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = self.table(ids) + sinusoids(ids.shape[1], WIDTH)
        return nn.Dropout(0.1)(x, self.deterministic)


def shifted(ids: Any) -> Any:
    """ids one place to the right, behind a 0."""
    return jnp.pad(ids, ((0, 0), (1, 0)))[:, :-1]


class LanguageModel(nn.Module):
    """A decoder whose table makes its logits."""

    broadcast_dropout: bool = False

    @nn.compact
    def __call__(self, ids: Any, train: bool) -> Any:
        table = nn.Embed(WORDS, WIDTH, embedding_init=nn.initializers.normal(1.0))
        x = Embedded(not train, table)(shifted(ids))
        mask = nn.make_causal_mask(ids)
        for _ in range(2):
            x = Block(not train, broadcast_dropout=self.broadcast_dropout)(x, mask)
        return table.attend(nn.LayerNorm()(x)) / np.sqrt(WIDTH)


class Translator(nn.Module):
    """Encoder and decoder that share a table; 0 is padding on both sides."""

    @nn.compact
    def __call__(self, source: Any, target: Any, train: bool) -> Any:
        table = nn.Embed(WORDS, WIDTH, embedding_init=nn.initializers.normal(1.0))
        mask = nn.make_attention_mask(source > 0, source > 0)
        x = Embedded(not train, table)(source)
        for _ in range(2):
            x = Block(not train)(x, mask)
        encoded = nn.LayerNorm()(x)
        mask = nn.combine_masks(
            nn.make_attention_mask(target > 0, target > 0), nn.make_causal_mask(target)
        )
        cross_mask = nn.make_attention_mask(target > 0, source > 0)
        y = Embedded(not train, table)(shifted(target))
        for _ in range(2):
            y = Block(not train)(y, mask, encoded, cross_mask)
        return table.attend(nn.LayerNorm()(y)) / np.sqrt(WIDTH)


class Tagger(nn.Module):
    """An encoder with a dense layer over the tags."""

    @nn.compact
    def __call__(self, ids: Any, train: bool) -> Any:
        x = Embedded(not train, nn.Embed(WORDS, WIDTH))(ids)
        for _ in range(2):
            x = Block(not train)(x, None)
        return nn.Dense(TAGS)(nn.LayerNorm()(x))


def smoothed_cross_entropy(logits: Any, targets: Any) -> Any:
    """Cross entropy with smoothed labels, over the words that are no padding."""
    words, smoothing = logits.shape[-1], 0.1
    low = smoothing / (words - 1)
    high = 1.0 - smoothing
    normalizer = -(high * np.log(high) + (words - 1) * low * np.log(low + 1e-20))
    soft = jnp.where(targets[..., None] == jnp.arange(words), high, low)
    losses = -jnp.sum(soft * nn.log_softmax(logits), axis=-1) - normalizer
    weights = (targets > 0).astype(jnp.float32)
    return jnp.sum(losses * weights) / jnp.sum(weights)


def lm1b(broadcast_dropout: bool = False) -> Job:
    ids = sentences(3, LENGTH, WORDS)
    module = LanguageModel(broadcast_dropout)
    return linen_job(module, (ids,), ids, smoothed_cross_entropy, init={"train": False})


def lm1b_broadcast_dropout() -> Job:
    """One dropout mask for all heads and sentences, which is the default of flax's attention."""
    return lm1b(True)


def wmt() -> Job:
    source, target = sentences(3, LENGTH, WORDS), sentences(3, LENGTH - 2, WORDS)[::-1]
    inputs = (source, target)
    return linen_job(Translator(), inputs, target, smoothed_cross_entropy, init={"train": False})


def nlp_seq() -> Job:
    ids = sentences(3, LENGTH, WORDS)
    return linen_job(Tagger(), (ids,), labels(3, LENGTH, limit=TAGS), init={"train": False})
