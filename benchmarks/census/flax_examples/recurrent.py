"""Recurrent nets: the classifier of the SST-2 example and the adding encoder-decoder of seq2seq."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks.census.flax_examples.data import CLASSES, labels, linen_job, sentences
from pock.compiler import Job

WORDS = 40
UNKNOWN = 1
CHARACTERS = 13


class WordDropout(nn.Module):
    """Replaces words by the unknown one."""

    rate: float = 0.1

    @nn.compact
    def __call__(self, ids: Any, deterministic: bool) -> Any:
        if deterministic:
            return ids
        drop = jax.random.bernoulli(self.make_rng("dropout"), self.rate, ids.shape)
        return jnp.where(drop, UNKNOWN, ids)


class AttentionClassifier(nn.Module):
    """Words, an LSTM in both directions, a weighted mean of its states, a perceptron."""

    width: int = 16

    @nn.compact
    def __call__(self, ids: Any, lengths: Any, deterministic: bool) -> Any:
        ids = WordDropout()(ids, deterministic)
        x = nn.Dropout(0.1)(nn.Embed(WORDS, self.width)(ids), deterministic)
        forward, backward = (nn.RNN(nn.OptimizedLSTMCell(self.width)) for _ in range(2))
        x = nn.Bidirectional(forward, backward)(x, seq_lengths=lengths)
        x = nn.Dropout(0.1)(x, deterministic)
        keys = nn.Dense(self.width, use_bias=False, name="keys")(x)
        scores = nn.Dense(1, use_bias=False, name="energy")(nn.tanh(keys))[..., 0]
        seen = jnp.arange(ids.shape[1])[None] < lengths[:, None]
        weights = nn.softmax(jnp.where(seen, scores, -jnp.inf))
        context = jnp.einsum("bt,btd->bd", weights, x)
        hidden = nn.tanh(nn.Dense(self.width)(nn.Dropout(0.1)(context, deterministic)))
        return nn.Dense(CLASSES)(nn.Dropout(0.1)(hidden, deterministic))


class DecoderCell(nn.Module):
    """A step of the decoder: its own last prediction is read unless the teacher's is forced."""

    teacher_force: bool
    width: int

    @nn.compact
    def __call__(self, carry: Any, x: Any) -> Any:
        state, last = carry
        state, y = nn.LSTMCell(self.width)(state, x if self.teacher_force else last)
        logits = nn.Dense(CHARACTERS)(y)
        if self.has_rng("lstm"):
            predicted = jax.random.categorical(self.make_rng("lstm"), logits)
        else:
            predicted = jnp.argmax(logits, axis=-1)
        prediction = jax.nn.one_hot(predicted, CHARACTERS, dtype=jnp.float32)
        return (state, prediction), (logits, prediction)


class Seq2Seq(nn.Module):
    """An LSTM reads a sum, another writes its result, character by character."""

    teacher_force: bool = True
    width: int = 24

    @nn.compact
    def __call__(self, query: Any, answer: Any) -> Any:
        state, _ = nn.RNN(nn.LSTMCell(self.width), return_carry=True)(query)
        decoder = nn.scan(
            DecoderCell,
            variable_broadcast="params",
            in_axes=1,
            out_axes=1,
            split_rngs={"params": False, "lstm": True},
        )(self.teacher_force, self.width)
        _, (logits, _) = decoder((state, answer[:, 0]), answer)
        return logits


class Tower(nn.Module):
    """Stacked GRU cells, the first of them simple."""

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = nn.Embed(WORDS, 12)(ids)
        for cell in (nn.SimpleCell(12), nn.GRUCell(12), nn.MGUCell(12)):
            x = nn.LayerNorm()(nn.RNN(cell)(x))
        return nn.Dense(CLASSES)(x[:, -1])


def sst2() -> Job:
    ids = sentences(4, 8, WORDS)
    lengths = jnp.asarray([8, 8, 6, 4], jnp.int32)
    init = {"deterministic": True}
    return linen_job(AttentionClassifier(), (ids, lengths), labels(4), init=init)


def _seq2seq(teacher_force: bool) -> Job:
    query = jax.nn.one_hot(labels(4, 7, limit=CHARACTERS), CHARACTERS)
    ids = labels(4, 5, limit=CHARACTERS)
    inputs = (query, jax.nn.one_hot(ids, CHARACTERS))
    return linen_job(Seq2Seq(teacher_force), inputs, jnp.roll(ids, -1, 1), rngs=("lstm",))


def seq2seq() -> Job:
    """With the teacher's characters; predictions are drawn, and not used."""
    return _seq2seq(True)


def seq2seq_free() -> Job:
    """Each step reads what the one before has drawn."""
    return _seq2seq(False)


def gru_tower() -> Job:
    return linen_job(Tower(), (sentences(4, 8, WORDS),), labels(4))
