"""Rows about normalisation: statistics, momentum, epsilons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np
import tensorflow as tf
from difference_rows import Row, Spelling
from flax import linen
from framework_results import Results
from torch import nn
from window_rows import PICTURE, first, last

import pock.jax


class FusedBatchNorm(tf.Module):
    """TensorFlow's op, whose variance is unbiased, with statistics kept as a weighted mean."""

    def __init__(self, old: float) -> None:
        super().__init__()
        self.old = old
        self.mean = tf.Variable(tf.zeros(3), False, name="mean")
        self.variance = tf.Variable(tf.ones(3), False, name="variance")

    def __call__(self, x: Any, training: bool = False) -> Any:
        ones, zeros = tf.ones(3), tf.zeros(3)
        norm = tf.compat.v1.nn.fused_batch_norm
        if not training:
            return norm(x, ones, zeros, self.mean, self.variance, is_training=False)[0]
        y, mean, variance = norm(x, ones, zeros)
        self.mean.assign(self.old * self.mean + (1.0 - self.old) * mean)
        self.variance.assign(self.old * self.variance + (1.0 - self.old) * variance)
        return y


class Normed(linen.Module):
    """A batch norm in the mode that its model is in."""

    options: Any

    @linen.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        return linen.BatchNorm(use_running_average=not train, **dict(self.options))(x)


def flax_model(module: Any, x: np.ndarray) -> Any:
    return pock.jax.linen(module, module.init(jax.random.key(0), x))


def keras_model(layer: Any, x: np.ndarray) -> Any:
    return keras.Sequential([keras.Input(x.shape[1:]), layer])


def state_named(*names: str) -> Callable[[Results], Sequence[np.ndarray]]:
    """The new statistics called one of `names`."""

    def observed(results: Results) -> Sequence[np.ndarray]:
        found = {key.replace("/", ".").split(".")[-1]: v for key, v in results.state.items()}
        return [found[name] for name in names if name in found]

    return observed


def batch_norms(momentum: bool) -> dict[str, Spelling]:
    """Batch norms as they are by default, or with one momentum for all.

    shown: the constant that says what the row is about: the weight of the new statistics, or with
    one momentum the factor of an unbiased variance.
    """
    torch_options, options = ({"momentum": 0.25}, {"momentum": 0.75}) if momentum else ({}, {})
    unbiased = float(PICTURE[..., 0].size / (PICTURE[..., 0].size - 1))
    weights = (unbiased, 0.25, unbiased, 0.25) if momentum else (0.1, 0.01, 0.01, 0.01)
    shown = [{"nn.constant": {"value": float(weight)}} for weight in weights]
    return {
        "torch": Spelling(
            lambda: nn.BatchNorm2d(3, **torch_options),
            (first(PICTURE),),
            {"nn.batch_norm": {"eps": 1e-5, "axis": 1}, **shown[0]},
            function="train",
            common=lambda value: last(value) if value.ndim == 4 else value,
        ),
        "jax": Spelling(
            lambda: flax_model(Normed(tuple(options.items())), PICTURE),
            (PICTURE,),
            {"nn.batch_norm": {"eps": 1e-5, "axis": 3}, **shown[1]},
            function="train",
        ),
        "tensorflow": Spelling(
            lambda: FusedBatchNorm(0.75),
            (PICTURE,),
            {"nn.batch_norm": {"eps": 1e-3, "axis": 3}, **shown[2]},
            function="train",
        ),
        "keras": Spelling(
            lambda: keras_model(keras.layers.BatchNormalization(**options), PICTURE),
            (PICTURE,),
            {"nn.batch_norm": {"eps": 1e-3, "axis": 3}, **shown[3]},
            function="train",
            tolerance=5e-6,
        ),
    }


VARIANCE = Row(
    "batch norm: running variance",
    batch_norms(momentum=True),
    [("torch", "tensorflow"), ("jax", "keras")],
    state_named("running_var", "var", "variance", "moving_variance"),
)

MOMENTUM = Row(
    "batch norm: momentum by default",
    {name: one for name, one in batch_norms(momentum=False).items() if name != "tensorflow"},
    [("torch",), ("jax", "keras")],
    state_named("running_mean", "mean", "moving_mean"),
)

BATCH_EPSILON = Row(
    "batch norm: epsilon by default",
    MOMENTUM.spellings,
    [("torch", "jax"), ("keras",)],
)

SMALL = (np.sin(np.arange(24.0)).reshape(3, 8) * 1e-2).astype(np.float32)


def rows_of(op: str, eps: Sequence[float], models: Sequence[Callable[[], Any]]) -> dict[str, Any]:
    names = ("torch", "jax", "keras")
    return {
        name: Spelling(build, (SMALL,), {op: {"eps": value}}, tolerance=1e-5)
        for name, value, build in zip(names, eps, models, strict=True)
    }


LAYER_EPSILON = Row(
    "layer norm: epsilon by default",
    rows_of(
        "nn.layer_norm",
        (1e-5, 1e-6, 1e-3),
        (
            lambda: nn.LayerNorm(8),
            lambda: flax_model(linen.LayerNorm(), SMALL),
            lambda: keras_model(keras.layers.LayerNormalization(), SMALL),
        ),
    ),
    [("torch",), ("jax",), ("keras",)],
)

RMS_EPSILON = Row(
    "RMS norm: epsilon by default",
    rows_of(
        "nn.rms_norm",
        (float(np.finfo(np.float32).eps), 1e-6, 1e-6),
        (
            lambda: nn.RMSNorm(8),
            lambda: flax_model(linen.RMSNorm(), SMALL),
            lambda: keras_model(keras.layers.RMSNormalization(), SMALL),
        ),
    ),
    [("torch",), ("jax", "keras")],
)

FAR = (np.sin(np.arange(256.0)).reshape(4, 64) + 1000).astype(np.float32)
WIDE = FAR.astype(np.float64)
EXACT = (WIDE - WIDE.mean(1, keepdims=True)) / np.sqrt(WIDE.var(1, keepdims=True) + 1e-6)

LAYER_VARIANCE = Row(
    "layer norm: variance of a large mean",
    {
        "torch": Spelling(
            lambda: nn.LayerNorm(64, 1e-6), (FAR,), {"nn.layer_norm": {}}, tolerance=2e-4
        ),
        "jax": Spelling(
            lambda: flax_model(linen.LayerNorm(), FAR),
            (FAR,),
            {"nn.layer_norm": {}},
            exact=EXACT,
            has_gradients=False,
            tolerance=2e-4,
        ),
        "jax.two_passes": Spelling(
            lambda: flax_model(linen.LayerNorm(use_fast_variance=False), FAR),
            (FAR,),
            {"nn.layer_norm": {}},
            tolerance=2e-4,
        ),
        "keras": Spelling(
            lambda: keras_model(keras.layers.LayerNormalization(epsilon=1e-6), FAR),
            (FAR,),
            {"nn.layer_norm": {}},
            tolerance=5e-4,
        ),
    },
    [("torch", "jax.two_passes", "keras"), ("jax",)],
    tolerance=1e-3,
)

NORM_ROWS = (
    VARIANCE,
    MOMENTUM,
    BATCH_EPSILON,
    LAYER_EPSILON,
    LAYER_VARIANCE,
    RMS_EPSILON,
)
