"""Models of keras.applications on the JAX backend: random weights, few classes, small pictures."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np

from pock.compiler import Job
from pock_ir.passes.optimizer import SGD

CLASSES = 7


def application(
    name: str,
    batch: int,
    side: int = 32,
    scale: float = 1.0,
    frozen: bool = False,
    **options: Any,
) -> Job:
    """A job that trains keras.applications.NAME on `batch` pictures of `side` pixels.

    scale: the standard deviation of the pictures, around 0; models that normalise their pictures
    themselves expect bytes. frozen: batch norms use their stored statistics, as Keras advises for
    fine-tuning; over a few small pictures their own amplify rounding. options: of the model's
    constructor.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    # Keras takes the seeds of its initializers from here; its own function imports TensorFlow.
    random.seed(1)
    shape = (side, side, 3)
    fixed = {"weights": None, "classes": CLASSES, "classifier_activation": None}
    model = getattr(keras.applications, name)(input_shape=shape, **fixed, **options)
    for layer in model.layers:
        if frozen and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    rng = np.random.default_rng(0)
    pictures = (scale * rng.standard_normal((batch, *shape))).astype(np.float32)
    labels = rng.integers(0, CLASSES, batch).astype(np.int32)
    return Job(model, (pictures,), labels, "cross_entropy", SGD(0.01), name="net")
