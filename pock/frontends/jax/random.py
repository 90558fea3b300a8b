"""Random truth values as one primitive, so that dropout can use pock's counter.

While a model is traced, `jax.random.bernoulli` with one probability and a traced key becomes
`pock_bernoulli`. The importer gives each its own stream of the counter-based generator; the
training that programs are compared with draws the same masks. All other random numbers are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray, Tracer
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

NAME = "pock_bernoulli"

# 1 - keep is what the user wrote but for the last bits of an f32.
DIGITS = 6

bernoulli_p = Primitive(NAME)


@bernoulli_p.def_abstract_eval
def _abstract(key: Any, keep: Any, *, shape: tuple[int, ...]) -> Any:
    return ShapedArray(shape, np.dtype(np.bool_))


@bernoulli_p.def_impl
def _evaluate(key: Any, keep: Any, *, shape: tuple[int, ...]) -> Any:
    return jax.random.uniform(key, shape) < keep


def _batch(args: Any, dims: Any, *, shape: tuple[int, ...]) -> Any:
    """A batch of keys draws independent masks: one mask with one more axis."""
    (key, keep), (dim, other) = args, dims
    if other is not None or dim is None:
        mapped = jax.vmap(lambda key, keep: _evaluate(key, keep, shape=shape), in_axes=dims)
        return mapped(key, keep), 0
    return bernoulli_p.bind(key, keep, shape=(key.shape[dim], *shape)), 0


batching.primitive_batchers[bernoulli_p] = _batch
mlir.register_lowering(bernoulli_p, mlir.lower_fun(_evaluate, multiple_results=False))


def drop_probability(keep: float) -> float:
    """With what probability the counter drops an element that is kept with `keep`, an f32."""
    return round(1.0 - keep, DIGITS)


def replacing(original: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.random.bernoulli` that becomes `pock_bernoulli` where it can."""

    def bernoulli(
        key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low", *, out_sharding: Any = None
    ) -> Any:
        plain = np.ndim(p) == 0 and mode == "low"
        is_whole = out_sharding is None or out_sharding.mesh.empty
        if not plain or not is_whole or not isinstance(key, Tracer):
            return original(key, p, shape, mode, out_sharding=out_sharding)
        sizes = tuple(map(int, shape or ()))
        return bernoulli_p.bind(key, jnp.asarray(p, jnp.float32), shape=sizes)

    return bernoulli
