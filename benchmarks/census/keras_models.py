"""Keras models of the census: models of keras.applications, and examples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.keras_applications import application
from pock.compiler import Job

BYTES = 64.0
"""The standard deviation of pictures for models that normalise bytes themselves."""

APPLICATIONS: Mapping[str, Mapping[str, Any]] = {
    "MobileNet": {"alpha": 0.25},
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {"scale": BYTES},
    "ResNet50": {},
    "VGG16": {"batch": 2},
    "ConvNeXtTiny": {"scale": BYTES, "batch": 2},
}
"""Name -> arguments of `application`; the smallest pictures that the constructor takes."""

FROZEN: Mapping[str, Mapping[str, Any]] = {
    "ResNet50V2": {},
    "EfficientNetB0": {"scale": BYTES},
    "DenseNet121": {},
}
"""Models whose batch norms are frozen, which spares many repeated runs of a deep net."""

BATCH = 8
FROZEN_BATCH = 2

EXAMPLES = (
    *("text_transformer", "bidirectional_lstm", "gru_forecast", "convolutional_lstm"),
    *("mlp_mixer", "fnet", "gated_mlp", "vision_transformer", "conv_mixer", "autoencoder"),
    *("variational_autoencoder", "series_cnn", "series_transformer", "adding_lstm"),
    *("translating_lstm", "unet", "super_resolution", "dilated_segmentation", "point_net"),
    *("wide_and_deep", "collaborative_filtering", "switch_transformer", "augmented_cnn"),
)
"""Functions of `keras_examples`."""


def _example(name: str) -> Job:
    """The job of an example, whose module imports Keras on its JAX backend."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from benchmarks.census.keras_examples import made

    return made(name)


MODELS: Mapping[str, Callable[[], Job]] = {
    **{
        name: partial(application, name, **{"batch": BATCH, **arguments})
        for name, arguments in APPLICATIONS.items()
    },
    **{
        f"{name}-frozen": partial(
            application, name, **{"batch": FROZEN_BATCH, "frozen": True, **arguments}
        )
        for name, arguments in FROZEN.items()
    },
    **{name: partial(_example, name) for name in EXAMPLES},
}
"""Name -> what makes the job."""
