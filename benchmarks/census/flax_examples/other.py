"""The actor-critic of the PPO example, the graph net of the molecules example, a Gemma decoder."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.census.flax_examples.data import floats, labels, linen_job, make_job
from pock.compiler import Job

ACTIONS = 6
WORDS = 60


class ActorCritic(nn.Module):
    """Convolutions over four frames, logits of actions, and the value of the state."""

    @nn.compact
    def __call__(self, frames: Any) -> Any:
        x = frames / 255.0
        for width, size, strides in ((8, 8, 4), (16, 4, 2), (16, 3, 1)):
            x = nn.relu(nn.Conv(width, (size, size), (strides, strides), padding="VALID")(x))
        x = nn.relu(nn.Dense(64)(x.reshape(x.shape[0], -1)))
        return nn.log_softmax(nn.Dense(ACTIONS)(x)), nn.Dense(1)(x)


def _clipped(outputs: Any, targets: Any) -> Any:
    """The clipped objective with an entropy bonus and the error of the values."""
    log_actions, values = outputs
    actions, old_logs, returns, advantages = (targets[name] for name in sorted(targets))
    entropy = jnp.sum(-jnp.exp(log_actions) * log_actions, axis=1).mean()
    chosen = jax.vmap(lambda row, action: row[action])(log_actions, actions)
    ratios = jnp.exp(chosen - old_logs)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped = advantages * jax.lax.clamp(0.9, ratios, 1.1)
    policy = -jnp.mean(jnp.minimum(ratios * advantages, clipped), axis=0)
    value = jnp.mean(jnp.square(returns - values[:, 0]), axis=0)
    return policy + 0.5 * value - 0.01 * entropy


class GraphNet(nn.Module):
    """Messages along edges are summed at nodes, nodes at graphs; layer norms and shortcuts."""

    graphs: int
    width: int = 16

    @nn.compact
    def __call__(self, nodes: Any, edges: Any, ends: Any, owner: Any, train: bool) -> Any:
        senders, receivers = ends[0], ends[1]
        count = nodes.shape[0]
        nodes, edges = nn.Dense(self.width)(nodes), nn.Dense(self.width)(edges)
        shared = jnp.zeros((self.graphs, self.width))
        for _ in range(2):
            of_edges = shared[owner][senders]
            parts = (edges, nodes[senders], nodes[receivers], of_edges)
            message = self._update(jnp.concatenate(parts, axis=-1), train)
            sent = jax.ops.segment_sum(message, senders, count)
            got = jax.ops.segment_sum(message, receivers, count)
            state = self._update(jnp.concatenate([nodes, sent, got, shared[owner]], -1), train)
            pooled = jax.ops.segment_sum(state, owner, self.graphs)
            shared = nn.LayerNorm()(shared + self._update(pooled, train))
            nodes, edges = nn.LayerNorm()(nodes + state), nn.LayerNorm()(edges + message)
        sizes = jax.ops.segment_sum(jnp.ones(count), owner, self.graphs)
        pooled = jax.ops.segment_sum(nodes, owner, self.graphs) / jnp.maximum(sizes, 1)[:, None]
        return nn.Dense(4)(pooled)

    def _update(self, x: Any, train: bool) -> Any:
        for _ in range(2):
            x = nn.Dropout(0.1)(nn.relu(nn.Dense(self.width)(x)), deterministic=not train)
        return x


class GraphAttention(nn.Module):
    """Messages weighted by a softmax over the edges that arrive at a node."""

    width: int = 16

    @nn.compact
    def __call__(self, nodes: Any, ends: Any) -> Any:
        senders, receivers = ends[0], ends[1]
        count = nodes.shape[0]
        for _ in range(2):
            x = nn.Dense(self.width, use_bias=False)(nodes)
            pair = jnp.concatenate([x[senders], x[receivers]], -1)
            scores = nn.leaky_relu(nn.Dense(1)(pair)[:, 0], 0.2)
            top = jax.ops.segment_max(scores, receivers, count)
            weights = jnp.exp(scores - jax.lax.stop_gradient(top)[receivers])
            total = jax.ops.segment_sum(weights, receivers, count)
            weights = weights / (total[receivers] + 1e-9)
            nodes = nn.elu(jax.ops.segment_sum(weights[:, None] * x[senders], receivers, count))
        return nn.Dense(4)(nodes)


def _multi_label(logits: Any, targets: Any) -> Any:
    """Binary cross entropy over the labels that are known (not NaN)."""
    known = ~jnp.isnan(targets)
    wanted = jnp.where(known, targets, 0.0)
    losses = jnp.maximum(logits, 0) - logits * wanted + jnp.log1p(jnp.exp(-jnp.abs(logits)))
    return jnp.sum(jnp.where(known, losses, 0.0)) / jnp.sum(known)


class RootMeanSquareNorm(nnx.Module):
    """x over its root mean square, times 1 + scale."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.scale = nnx.Param(nnx.initializers.normal(0.1)(rngs.params(), (width,)))

    def __call__(self, x: Any) -> Any:
        variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(variance + 1e-6) * (1 + self.scale[...])


def rotated(x: Any, positions: Any) -> Any:
    """x [B, T, H, D] with pairs (i, i + D/2) turned by an angle that grows with the position."""
    half = x.shape[-1] // 2
    scale = 10000.0 ** (2.0 * jnp.arange(half) / x.shape[-1])
    angle = (positions[..., None] / scale)[..., None, :]
    first, second = jnp.split(x, 2, axis=-1)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1)


class GroupedAttention(nnx.Module):
    """Queries of several heads share keys and values; scores are capped, and seen in a window."""

    def __init__(self, width: int, window: int | None, rngs: nnx.Rngs) -> None:
        self.heads, self.groups, self.depth, self.window = 4, 2, 8, window
        make = nnx.initializers.normal(0.1)
        self.query = nnx.Param(make(rngs.params(), (self.heads, width, self.depth)))
        self.both = nnx.Param(make(rngs.params(), (2, self.groups, width, self.depth)))
        self.out = nnx.Param(make(rngs.params(), (self.heads, self.depth, width)))

    def __call__(self, x: Any, positions: Any, mask: Any) -> Any:
        query = jnp.einsum("btd,ndh->btnh", x, self.query[...])
        key, value = jnp.einsum("bsd,ckdh->cbskh", x, self.both[...])
        query = rotated(query, positions) * self.depth**-0.5
        key = rotated(key, positions)
        batch, length = query.shape[:2]
        query = query.reshape(batch, length, self.groups, -1, self.depth)
        scores = jnp.einsum("btkgh,bskh->btkgs", query, key)
        scores = jnp.tanh(scores / 50.0) * 50.0
        if self.window is not None:
            near = jnp.triu(jnp.ones_like(mask), 1 - self.window)
            mask = mask * near * jnp.tril(near.astype(jnp.float32), self.window - 1).astype(bool)
        scores = jnp.where(mask[:, :, None, None, :], scores, -2.3819763e38)
        weights = jax.nn.softmax(scores, axis=-1)
        found = jnp.einsum("btkgs,bskh->btkgh", weights, value)
        found = found.reshape(batch, length, self.heads, self.depth)
        return jnp.einsum("btnh,nhd->btd", found, self.out[...])


class GemmaBlock(nnx.Module):
    """Attention and a gated perceptron, with norms in front and behind."""

    def __init__(self, width: int, window: int | None, rngs: nnx.Rngs) -> None:
        self.norms = nnx.List([RootMeanSquareNorm(width, rngs) for _ in range(4)])
        self.attention = GroupedAttention(width, window, rngs)
        self.gate = nnx.Linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.up = nnx.Linear(width, 3 * width, use_bias=False, rngs=rngs)
        self.down = nnx.Linear(3 * width, width, use_bias=False, rngs=rngs)

    def __call__(self, x: Any, positions: Any, mask: Any) -> Any:
        before, after, before_gate, after_gate = self.norms
        x = x + after(self.attention(before(x), positions, mask))
        y = before_gate(x)
        return x + after_gate(self.down(nnx.gelu(self.gate(y)) * self.up(y)))


class Gemma(nnx.Module):
    """A decoder of local and global blocks; its table makes its logits, which are capped."""

    def __init__(self, rngs: nnx.Rngs, width: int = 32) -> None:
        self.width = width
        self.table = nnx.Param(nnx.initializers.normal(0.5)(rngs.params(), (WORDS, width)))
        self.blocks = nnx.List([GemmaBlock(width, window, rngs) for window in (4, None)])
        self.norm = RootMeanSquareNorm(width, rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.table[...][ids] * np.sqrt(self.width).astype(np.float32)
        positions = jnp.arange(ids.shape[1])[None]
        mask = jnp.tril(jnp.ones((ids.shape[1], ids.shape[1]), bool))[None]
        for block in self.blocks:
            x = block(x, positions, mask)
        logits = self.norm(x) @ self.table[...].T
        return jnp.tanh(logits / 30.0) * 30.0


def ppo() -> Job:
    frames = 64.0 * jnp.abs(floats(4, 84, 84, 4))
    batch = {
        "actions": labels(4, limit=ACTIONS),
        "logs": -jnp.abs(floats(4)),
        "returns": floats(4) * 0.5,
        "the_advantages": floats(4),
    }
    return linen_job(ActorCritic(), (frames,), batch, _clipped)


def molecules() -> Job:
    """Three graphs of 15 nodes and 28 edges together."""
    ends = labels(2, 28, limit=15)
    owner = jnp.asarray(np.repeat([0, 1, 2], [4, 6, 5]), jnp.int32)
    targets = jnp.asarray(np.where(np.arange(12).reshape(3, 4) % 5 == 3, np.nan, 1.0), jnp.float32)
    inputs = (floats(15, 9), floats(28, 3), ends, owner)
    return linen_job(GraphNet(3), inputs, targets, _multi_label, init={"train": False})


def graph_attention() -> Job:
    return linen_job(
        GraphAttention(), (floats(15, 9), labels(2, 28, limit=15)), labels(15, limit=4)
    )


def gemma() -> Job:
    ids = labels(2, 10, limit=WORDS)
    return make_job(Gemma(nnx.Rngs(0)), (ids,), jnp.roll(ids, -1, 1))
