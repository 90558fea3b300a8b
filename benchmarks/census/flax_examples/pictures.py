"""Pictures: CNNs of the MNIST example, ResNets of the ImageNet example, a variational encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.census.flax_examples.data import CLASSES, floats, labels, linen_job, make_job
from pock.compiler import Job


class CNN(nn.Module):
    """Two convolutions with pools, two dense layers."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        for width in (32, 64):
            x = nn.relu(nn.Conv(width, (3, 3))(x))
            x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(256)(x.reshape(x.shape[0], -1)))
        return nn.Dense(CLASSES)(x)


class NnxCNN(nnx.Module):
    """The same in nnx, with batch norm and dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, 32, (3, 3), rngs=rngs)
        self.norm1 = nnx.BatchNorm(32, rngs=rngs)
        self.dropout1 = nnx.Dropout(0.025, rngs=rngs)
        self.conv2 = nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.norm2 = nnx.BatchNorm(64, rngs=rngs)
        self.dense1 = nnx.Linear(3136, 256, rngs=rngs)
        self.dropout2 = nnx.Dropout(0.025, rngs=rngs)
        self.dense2 = nnx.Linear(256, CLASSES, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        pool = partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
        x = pool(nnx.relu(self.norm1(self.dropout1(self.conv1(x)))))
        x = pool(nnx.relu(self.norm2(self.conv2(x))))
        x = nnx.relu(self.dropout2(self.dense1(x.reshape(x.shape[0], -1))))
        return self.dense2(x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    width: int
    strides: int
    norm: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        conv = partial(nn.Conv, use_bias=False)
        strides = (self.strides, self.strides)
        y = nn.relu(self.norm()(conv(self.width, (3, 3), strides)(x)))
        y = self.norm()(conv(self.width, (3, 3))(y))
        if x.shape != y.shape:
            x = self.norm(name="norm_shortcut")(conv(self.width, (1, 1), strides)(x))
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 to four times the width around a shortcut."""

    width: int
    strides: int
    norm: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        conv = partial(nn.Conv, use_bias=False)
        strides = (self.strides, self.strides)
        y = nn.relu(self.norm()(conv(self.width, (1, 1))(x)))
        y = nn.relu(self.norm()(conv(self.width, (3, 3), strides)(y)))
        y = self.norm()(conv(4 * self.width, (1, 1))(y))
        if x.shape != y.shape:
            x = self.norm(name="norm_shortcut")(conv(4 * self.width, (1, 1), strides)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Stages of blocks; the width doubles and the picture halves with each."""

    stages: Sequence[int]
    block: Any
    width: int = 16

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        x = nn.Conv(self.width, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], use_bias=False)(x)
        x = nn.max_pool(nn.relu(norm()(x)), (3, 3), strides=(2, 2), padding="SAME")
        for stage, count in enumerate(self.stages):
            for index in range(count):
                strides = 2 if stage > 0 and index == 0 else 1
                x = self.block(self.width * 2**stage, strides, norm)(x)
        return nn.Dense(CLASSES)(jnp.mean(x, axis=(1, 2)))


class VariationalEncoder(nn.Module):
    """Encoder to mean and log variance, noise, decoder.

    Noise is given as an input, or drawn in training.
    """

    latents: int = 20

    @nn.compact
    def __call__(self, x: Any, noise: Any = None) -> Any:
        hidden = nn.relu(nn.Dense(100)(x))
        mean, log_variance = nn.Dense(self.latents)(hidden), nn.Dense(self.latents)(hidden)
        if noise is None and self.has_rng("noise"):
            noise = jax.random.normal(self.make_rng("noise"), mean.shape)
        z = mean if noise is None else mean + noise * jnp.exp(0.5 * log_variance)
        logits = nn.Dense(x.shape[-1])(nn.relu(nn.Dense(100)(z)))
        return logits, mean, log_variance


def _evidence(outputs: Any, pictures: Any) -> Any:
    """The negative evidence lower bound: binary cross entropy and the divergence from a normal."""
    logits, mean, log_variance = outputs
    logs = nn.log_sigmoid(logits)
    entropy = -jnp.sum(pictures * logs + (1.0 - pictures) * jnp.log(-jnp.expm1(logs)), axis=-1)
    terms = 1 + log_variance - jnp.square(mean) - jnp.exp(log_variance)
    return jnp.mean(entropy) - 0.5 * jnp.mean(jnp.sum(terms, axis=-1))


def mnist_cnn() -> Job:
    return linen_job(CNN(), (floats(8, 28, 28, 1),), labels(8))


def mnist_nnx() -> Job:
    return make_job(NnxCNN(nnx.Rngs(0)), (floats(8, 28, 28, 1),), labels(8))


def resnet(stages: Sequence[int], block: Any) -> Job:
    x = floats(8, 64, 64, 3)
    return linen_job(ResNet(stages, block), (x,), labels(8), init={"train": False})


def resnet18() -> Job:
    return resnet((2, 2, 2, 2), BasicBlock)


def resnet50() -> Job:
    return resnet((3, 4, 6, 3), Bottleneck)


def vae() -> Job:
    """Draws its noise itself."""
    pictures = jax.nn.sigmoid(floats(8, 196))
    return linen_job(VariationalEncoder(), (pictures,), pictures, _evidence, rngs=("noise",))


def vae_given_noise() -> Job:
    pictures, noise = jax.nn.sigmoid(floats(8, 196)), floats(8, 20)
    return linen_job(VariationalEncoder(), (pictures, noise), pictures, _evidence)
