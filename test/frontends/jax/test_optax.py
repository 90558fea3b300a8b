"""optax transformations become pock's optimizers with the same results, or are refused."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pock.frontends import optimizer_from
from pock.frontends.jax.updates import make_update
from pock_ir.diagnostics import PockError
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion

KNOWN: dict[str, tuple[Any, Any]] = {
    "sgd": (optax.sgd(0.1), SGD(0.1)),
    "momentum": (optax.sgd(0.1, momentum=0.9), SGD(0.1, momentum=0.9)),
    "nesterov": (
        optax.sgd(0.1, momentum=0.8, nesterov=True),
        SGD(0.1, momentum=0.8, nesterov=True),
    ),
    "decay": (
        optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1, momentum=0.9)),
        SGD(0.1, momentum=0.9, weight_decay=0.01),
    ),
    "adam": (optax.adam(1e-2, b1=0.8, eps=1e-6), Adam(1e-2, betas=(0.8, 0.999), eps=1e-6)),
    "adamw": (optax.adamw(1e-2), AdamW(1e-2, weight_decay=1e-4)),
    "lion": (optax.lion(1e-2, b1=0.8), Lion(1e-2, betas=(0.8, 0.99), weight_decay=1e-3)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known(name: str) -> None:
    theirs, ours = KNOWN[name]
    assert optimizer_from(theirs) == ours
    rng = np.random.default_rng(0)
    start = {"w": jnp.asarray(rng.standard_normal(9), jnp.float32)}
    values = [start, start]
    updates = [make_update(choice, start) for choice in (theirs, ours)]
    for _ in range(4):
        gradient = {"w": jnp.asarray(rng.standard_normal(9), jnp.float32)}
        values = [run(gradient, value) for run, value in zip(updates, values, strict=True)]
    np.testing.assert_allclose(values[0]["w"], values[1]["w"], rtol=2e-6, atol=2e-7)


REFUSED: dict[str, tuple[Any, str]] = {
    "schedule": (optax.sgd(optax.linear_schedule(1.0, 0.0, 9)), "changes by a schedule"),
    "clipping": (
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
        "optax.clip_by_global_norm is not supported",
    ),
    "root": (optax.adam(1e-3, eps_root=1e-8), "eps_root=1e-08"),
    "nadam": (optax.nadam(1e-3), "nesterov=True"),
    "rmsprop": (optax.rmsprop(1e-3), "optax.scale_by_rms is not supported"),
    "mask": (optax.adamw(1e-3, mask={"w": True}), "is not supported"),
    "accumulation": (optax.MultiSteps(optax.sgd(0.1), 2), "is not supported"),
    "order": (
        optax.chain(optax.sgd(0.1), optax.add_decayed_weights(0.1)),
        "the optax chain of scale, add_decayed_weights is not supported",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    transformation, words = REFUSED[name]
    with pytest.raises(PockError) as caught:
        optimizer_from(transformation)
    assert words in str(caught.value)
