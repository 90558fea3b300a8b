"""Giving JAX models to `pock.compile`.

- a pure function: `Model(apply, params)`, with `state`, modes and a random key where it has them;
- a flax.linen module with its variables: `linen(module, variables)`;
- a flax.nnx module: itself, or `nnx(module)`;
- an Equinox module: itself, or `equinox(module, batched=True)` if it takes one sample.

`from_optax` says which of pock's optimizers an optax transformation is; `pock.compile` asks it.
Needs jax, and of flax, Equinox and optax what the model uses.
"""

from pock.frontends.jax.model import Model, equinox, linen, nnx
from pock.frontends.jax.optimizer import from_optax

__all__ = ["Model", "equinox", "from_optax", "linen", "nnx"]
