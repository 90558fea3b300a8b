"""Keras optimizers as pock's: the same steps, or a refusal that says what differs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from pock.frontends import optimizer_from
from pock.frontends.common.updates import make_update
from pock_ir.diagnostics import PockError
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion

KNOWN = {
    "sgd": (lambda: keras.optimizers.SGD(0.1), SGD),
    "sgd_decay": (lambda: keras.optimizers.SGD(0.1, weight_decay=0.01), SGD),
    "momentum": (lambda: keras.optimizers.SGD(0.1, 0.9), SGD),
    "nesterov": (lambda: keras.optimizers.SGD(0.1, 0.9, nesterov=True), SGD),
    "adam": (lambda: keras.optimizers.Adam(), Adam),
    "adam_decay": (lambda: keras.optimizers.Adam(0.01, weight_decay=0.1), AdamW),
    "adamw": (lambda: keras.optimizers.AdamW(beta_1=0.8, beta_2=0.99, epsilon=1e-6), AdamW),
    "lion": (lambda: keras.optimizers.Lion(0.01, weight_decay=0.1), Lion),
}


@pytest.mark.parametrize("name", KNOWN)
def test_steps_are_those_of_keras(name: str) -> None:
    build, kind = KNOWN[name]
    ours = optimizer_from(build())
    assert type(ours) is kind
    theirs: Any = build()
    start = np.linspace(-1, 1, 5).astype(np.float32)
    variable = keras.Variable(start)
    update, held = make_update(ours), {"w": start.astype(np.float64)}
    for scale in (1.0, 1e-6, -0.3):
        gradient = np.cos(np.arange(5.0)) * scale
        theirs.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
        held = update({"w": gradient}, held)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), held["w"], 2e-6, 1e-6)


def test_defaults_of_adamw() -> None:
    ours = optimizer_from(keras.optimizers.AdamW())
    assert isinstance(ours, AdamW) and ours.eps_before_correction
    assert (ours.weight_decay, ours.eps) == (0.004, 1e-7)


SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)

REFUSED = {
    "schedule": (lambda: keras.optimizers.SGD(SCHEDULE), "schedule"),
    "clipping": (lambda: keras.optimizers.Adam(global_clipnorm=1.0), "global_clipnorm"),
    "ema": (lambda: keras.optimizers.Adam(use_ema=True), "use_ema"),
    "amsgrad": (lambda: keras.optimizers.Adam(amsgrad=True), "amsgrad"),
    "accumulation": (
        lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=4),
        "gradient_accumulation_steps",
    ),
    "decayed_momentum": (lambda: keras.optimizers.SGD(0.1, 0.9, weight_decay=0.1), "weight_decay"),
    "rmsprop": (lambda: keras.optimizers.RMSprop(), "RMSprop"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_differs_is_refused(name: str) -> None:
    build, word = REFUSED[name]
    with pytest.raises(PockError, match=word):
        optimizer_from(build())


def test_a_used_optimizer_is_refused() -> None:
    used = keras.optimizers.SGD(0.1)
    variable = keras.Variable(np.ones(2, np.float32))
    used.apply([keras.ops.ones(2)], [variable])
    with pytest.raises(PockError, match="taken steps"):
        optimizer_from(used)
