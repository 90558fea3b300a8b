"""Models that are functions of their parameters, as JAX's own examples and papers write them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

import pock.jax
from benchmarks.census.flax_examples.data import CLASSES, floats, labels, make_job
from pock.compiler import Job

WORDS = 40


def _normal(key: int, *shape: int, scale: float = 0.2) -> Any:
    return scale * jax.random.normal(jax.random.key(key), shape)


def _perceptron(params: Any, x: Any) -> Any:
    """tanh layers, log probabilities by logsumexp."""
    *hidden, (w, b) = params
    for weights, bias in hidden:
        x = jnp.tanh(jnp.dot(x, weights) + bias)
    logits = jnp.dot(x, w) + b
    return logits - jax.nn.logsumexp(logits, axis=1, keepdims=True)


def _one_hot_likelihood(log_probabilities: Any, targets: Any) -> Any:
    return -jnp.mean(jnp.sum(log_probabilities * targets, axis=1))


def mnist_from_scratch() -> Job:
    sizes = (784, 64, 64, CLASSES)
    params = [(_normal(i, m, n), _normal(i + 9, n)) for i, (m, n) in enumerate(pairwise(sizes))]
    targets = jax.nn.one_hot(labels(8), CLASSES)
    model = pock.jax.Model(_perceptron, params)
    return make_job(model, (floats(8, 784),), targets, _one_hot_likelihood)


def _layer(x: Any, weights: Any) -> tuple[Any, None]:
    """A decoder block on [B, T, D]; its weights are one slice of stacked ones."""

    def norm(x: Any, scale: Any) -> Any:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(variance + 1e-5) * scale

    batch, length, width = x.shape
    heads = norm(x, weights["n1"]) @ weights["qkv"]
    q, k, v = jnp.moveaxis(heads.reshape(batch, length, 3, 4, width // 4), 2, 0)
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(width // 4)
    seen = jnp.tril(jnp.ones((length, length), bool))
    scores = jax.nn.softmax(jnp.where(seen, scores, -1e9), axis=-1)
    found = jnp.einsum("bhts,bshd->bthd", scores, v).reshape(x.shape)
    x = x + found @ weights["out"]
    return x + jax.nn.gelu(norm(x, weights["n2"]) @ weights["up"]) @ weights["down"], None


def _decoder(params: Any, ids: Any) -> Any:
    x = params["words"][ids] + params["positions"][: ids.shape[1]]
    x, _ = jax.lax.scan(jax.checkpoint(_layer), x, params["layers"])
    return x @ params["words"].T


def scanned_decoder() -> Job:
    """Equal layers by scan, each computed again in the backward pass."""
    width, depth = 32, 3
    layers = {
        "n1": 1.0 + _normal(1, depth, width),
        "n2": 1.0 + _normal(2, depth, width),
        "qkv": _normal(3, depth, width, 3 * width),
        "out": _normal(4, depth, width, width),
        "up": _normal(5, depth, width, 4 * width),
        "down": _normal(6, depth, 4 * width, width),
    }
    params = {"words": _normal(7, WORDS, width), "positions": _normal(8, 16, width)}
    ids = labels(2, 10, limit=WORDS)
    model = pock.jax.Model(_decoder, {**params, "layers": layers})
    return make_job(model, (ids,), jnp.roll(ids, -1, 1))


def _neural_ode(params: Any, x: Any) -> Any:
    """Four Runge-Kutta steps of a small vector field, then a linear readout."""

    def field(x: Any) -> Any:
        return jnp.tanh(x @ params["a"] + params["b"]) @ params["c"]

    def step(_: Any, x: Any) -> Any:
        size = 0.25
        k1 = field(x)
        k2 = field(x + 0.5 * size * k1)
        k3 = field(x + 0.5 * size * k2)
        k4 = field(x + size * k3)
        return x + size / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

    return jax.lax.fori_loop(0, 4, step, x) @ params["out"]


def neural_ode() -> Job:
    params = {
        "a": _normal(1, 4, 16),
        "b": _normal(2, 16),
        "c": _normal(3, 16, 4),
        "out": _normal(4, 4, CLASSES),
    }
    return make_job(pock.jax.Model(_neural_ode, params), (floats(8, 4),), labels(8))


def _linear_recurrence(params: Any, x: Any) -> Any:
    """A gated diagonal recurrence h[t] = a[t] h[t-1] + b[t], by a parallel scan over time."""
    x = jax.nn.silu(x @ params["in"])
    gate = jax.nn.sigmoid(x @ params["gate"])
    decay = jnp.exp(-8.0 * jax.nn.softplus(params["rate"]) * gate)
    kept = jnp.sqrt(1.0 - jnp.square(decay)) * x

    def both(first: Any, second: Any) -> Any:
        return first[0] * second[0], second[0] * first[1] + second[1]

    _, states = jax.lax.associative_scan(both, (decay, kept), axis=1)
    return states.mean(1) @ params["out"]


def linear_recurrence() -> Job:
    params = {
        "in": _normal(1, 6, 16),
        "gate": _normal(2, 16, 16),
        "rate": _normal(3, 16) - 2.0,
        "out": _normal(4, 16, CLASSES),
    }
    return make_job(pock.jax.Model(_linear_recurrence, params), (floats(4, 11, 6),), labels(4))


def _vector_quantised(params: Any, x: Any) -> Any:
    """An autoencoder whose code is the nearest row of a table; gradients pass straight through."""
    code = jnp.tanh(x @ params["encoder"])
    distances = jnp.sum(jnp.square(code[:, None] - params["table"][None]), axis=-1)
    nearest = params["table"][jnp.argmin(distances, axis=-1)]
    loss = jnp.mean(jnp.square(nearest - jax.lax.stop_gradient(code)))
    loss += 0.25 * jnp.mean(jnp.square(jax.lax.stop_gradient(nearest) - code))
    passed = code + jax.lax.stop_gradient(nearest - code)
    return jnp.tanh(passed @ params["hidden"]) @ params["decoder"], loss


def _with_commitment(outputs: Any, targets: Any) -> Any:
    return jnp.mean(jnp.square(outputs[0] - targets)) + outputs[1]


def vq_autoencoder() -> Job:
    params = {
        "encoder": _normal(1, 12, 4),
        "table": _normal(2, 9, 4, scale=0.6),
        "hidden": _normal(3, 4, 16, scale=0.6),
        "decoder": _normal(4, 16, 12),
    }
    x = floats(10, 12)
    return make_job(pock.jax.Model(_vector_quantised, params), (x,), x, _with_commitment)


def _radiance(params: Any, points: Any) -> Any:
    """Sines and cosines of growing frequency, a perceptron with a skip, colour and density."""
    frequencies = 2.0 ** jnp.arange(4)
    angles = (points[..., None] * frequencies).reshape(*points.shape[:-1], -1)
    features = jnp.concatenate([points, jnp.sin(angles), jnp.cos(angles)], axis=-1)
    x = features
    for index, (weights, bias) in enumerate(params["layers"]):
        x = jax.nn.relu(x @ weights + bias)
        if index == 1:
            x = jnp.concatenate([x, features], axis=-1)
    raw = x @ params["out"]
    density, colour = jax.nn.relu(raw[..., 3]), jax.nn.sigmoid(raw[..., :3])
    gaps = jnp.full(density.shape[-1], 0.1).at[-1].set(1e3)
    alpha = 1.0 - jnp.exp(-density * gaps)
    light = jnp.cumprod(1.0 - alpha + 1e-10, axis=-1)
    light = jnp.concatenate([jnp.ones_like(light[..., :1]), light[..., :-1]], axis=-1)
    return jnp.sum((alpha * light)[..., None] * colour, axis=-2)


def radiance_field() -> Job:
    """Colours along rays of 12 points, as volume rendering sums them up."""
    sizes = ((27, 32), (32, 32), (59, 32))
    layers = [(_normal(i, *size), _normal(i + 9, size[1])) for i, size in enumerate(sizes)]
    params = {"layers": layers, "out": _normal(5, 32, 4)}
    model = pock.jax.Model(_radiance, params)
    return make_job(model, (floats(6, 12, 3),), jax.nn.sigmoid(floats(6, 3)), "mse")


def _experts(params: Any, x: Any) -> Any:
    """Each row goes to the two experts with the highest gates."""
    gates = jax.nn.softmax(x @ params["gate"])
    weights, chosen = jax.lax.top_k(gates, 2)
    weights = weights / weights.sum(-1, keepdims=True)
    every = jnp.einsum("bi,eij->bej", x, params["experts"])
    found = jnp.take_along_axis(jax.nn.relu(every), chosen[..., None], axis=1)
    return jnp.sum(found * weights[..., None], axis=1) @ params["out"]


def mixture_of_experts() -> Job:
    params = {
        "gate": _normal(1, 8, 4, scale=1.0),
        "experts": _normal(2, 4, 8, 16),
        "out": _normal(3, 16, CLASSES),
    }
    return make_job(pock.jax.Model(_experts, params), (floats(12, 8),), labels(12))


def _kernel(params: Any, first: Any, second: Any) -> Any:
    distances = jnp.sum(jnp.square(first[:, None] - second[None]), axis=-1)
    return jnp.exp(params["height"]) * jnp.exp(-distances / jnp.exp(params["length"]))


def _gaussian_process(params: Any, x: Any, y: Any) -> Any:
    """The negative log marginal likelihood of a Gaussian process."""
    noise = jnp.exp(params["noise"]) * jnp.eye(x.shape[0])
    factor = jnp.linalg.cholesky(_kernel(params, x, x) + noise)
    solved = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
    return 0.5 * jnp.sum(jnp.square(solved)) + jnp.sum(jnp.log(jnp.diagonal(factor)))


def gaussian_process() -> Job:
    params = {"height": jnp.zeros(()), "length": jnp.zeros(()), "noise": jnp.float32(-2.0)}
    model = pock.jax.Model(_gaussian_process, params)
    return make_job(model, (floats(10, 2), floats(10)), jnp.zeros(()), "output")


def _contrastive(params: Any, pictures: Any, texts: Any) -> Any:
    """Two encoders, a matrix of similarities, and cross entropy both ways."""

    def encoded(x: Any, weights: Any) -> Any:
        x = jax.nn.gelu(x @ weights[0]) @ weights[1]
        return x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    first, second = encoded(pictures, params["picture"]), encoded(texts, params["text"])
    logits = jnp.exp(params["scale"]) * first @ second.T
    own = jnp.diagonal(jax.nn.log_softmax(logits, 0)) + jnp.diagonal(jax.nn.log_softmax(logits, 1))
    return -0.5 * jnp.mean(own)


def contrastive() -> Job:
    params = {
        "picture": (_normal(1, 20, 32), _normal(2, 32, 8)),
        "text": (_normal(3, 12, 32), _normal(4, 32, 8)),
        "scale": jnp.float32(1.0),
    }
    model = pock.jax.Model(_contrastive, params)
    return make_job(model, (floats(6, 20), floats(6, 12)), jnp.zeros(()), "output")


def _equilibrium(params: Any, x: Any) -> Any:
    """The fixed point of a layer, iterated until it no longer moves."""

    def moves(pair: Any) -> Any:
        return jnp.linalg.norm(pair[0] - pair[1]) > 1e-4

    def step(pair: Any) -> Any:
        return jnp.tanh(pair[0] @ params["w"] + x @ params["in"]), pair[0]

    start = jnp.zeros((x.shape[0], params["w"].shape[0]))
    found, _ = jax.lax.while_loop(moves, step, (start + 1.0, start))
    return jnp.tanh(found @ params["w"] + x @ params["in"]) @ params["out"]


def deep_equilibrium() -> Job:
    params = {
        "w": _normal(1, 8, 8, scale=0.1),
        "in": _normal(2, 6, 8),
        "out": _normal(3, 8, CLASSES),
    }
    return make_job(pock.jax.Model(_equilibrium, params), (floats(4, 6),), labels(4))
