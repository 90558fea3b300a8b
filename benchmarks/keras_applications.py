"""Models of keras.applications on the JAX backend: random weights, few classes, small pictures."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pock.compiler import Job
from pock_ir.passes.optimizer import SGD

CLASSES = 7


def application(name: str, batch: int, side: int = 32, **options: Any) -> Job:
    """A job that trains keras.applications.NAME on `batch` pictures of `side` pixels.

    options: of the model's constructor.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    keras.utils.set_random_seed(1)
    shape = (side, side, 3)
    fixed = {"weights": None, "classes": CLASSES, "classifier_activation": None}
    model = getattr(keras.applications, name)(input_shape=shape, **fixed, **options)
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((batch, *shape)).astype(np.float32)
    labels = rng.integers(0, CLASSES, batch).astype(np.int32)
    return Job(model, (pictures,), labels, "cross_entropy", SGD(0.01), name="net")
