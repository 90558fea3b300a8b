"""Batches and jobs that the models share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pock.jax
from pock.compiler import Job
from pock_ir.passes.optimizer import SGD

CLASSES = 7
SEED = 0


def floats(*shape: int) -> Any:
    """Normal numbers."""
    return jnp.asarray(np.random.default_rng(SEED).standard_normal(shape), jnp.float32)


def labels(*shape: int, limit: int = CLASSES) -> Any:
    """Integers below `limit`."""
    return jnp.asarray(np.random.default_rng(SEED + 1).integers(0, limit, shape), jnp.int32)


def sentences(batch: int, length: int, words: int) -> Any:
    """Token ids from 1; the second half of the last sentence is padding, 0."""
    ids = np.random.default_rng(SEED).integers(1, words, (batch, length))
    ids[-1, length // 2 :] = 0
    return jnp.asarray(ids, jnp.int32)


def linen_job(
    module: Any, inputs: tuple[Any, ...], targets: Any, loss: Any = "cross_entropy", **options: Any
) -> Job:
    """A job for a linen module. options: of `pock.jax.linen`, and keywords of `init` under init."""
    keywords = options.pop("init", {})
    rngs = {
        name: jax.random.key(i) for i, name in enumerate(("params", "dropout", "noise", "lstm"))
    }
    variables = module.init(rngs, *inputs, **keywords)
    model = pock.jax.linen(module, variables, **options)
    return make_job(model, inputs, targets, loss)


def make_job(model: Any, inputs: tuple[Any, ...], targets: Any, loss: Any = "cross_entropy") -> Job:
    """A job that trains `model` with SGD."""
    if isinstance(model, nnx.Module):
        model = pock.jax.nnx(model)
    return Job(model, inputs, targets, loss, SGD(0.01), name="net")
