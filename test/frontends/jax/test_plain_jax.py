"""JAX needs none of the libraries that models are written in: functions are trained without."""

from __future__ import annotations

import subprocess
import sys

TRAINED = """\
import sys
import jax
import jax.numpy as jnp
import pock, pock.jax

def apply(params, x):
    return jax.nn.gelu(x @ params["w"] + params["b"]) @ params["v"]

params = {"w": jnp.full((4, 8), 0.1), "b": jnp.zeros(8), "v": jnp.full((8, 3), -0.2)}
example = (jnp.linspace(-1.0, 1.0, 20).reshape(5, 4),), jnp.arange(5) % 3
model = pock.jax.Model(apply, params)
program = pock.compile(model, *example, optimizer=pock.Adam(lr=0.01), target="c")
assert program.verify(2).passed
print(*{"flax", "equinox", "optax", "torch", "keras", "tensorflow"} & sys.modules.keys())
"""


def test_a_function_is_trained_with_jax_only() -> None:
    """In a process of its own, where no other test has imported anything."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
