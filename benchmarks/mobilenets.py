"""One MobileNetV2 in three frameworks: the same layers and the same weights.

`pock.zoo.mobilenet` is the model and has the weights; the flax and the Keras one are written after
it, with the padding of PyTorch (one on each side, also at stride 2) and its epsilon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from pock.compiler import Job
from pock.zoo.mobilenet import STAGES, MobileNetV2, make_divisible, mobilenet_v2
from pock_ir.passes.optimizer import SGD
from pock_ir.types import Array

WIDTH, CLASSES, SIDE = 0.35, 100, 128
EPSILON, DROPOUT = 1e-5, 0.2

Blocks = Iterator[tuple[int, int, int]]


def blocks() -> Blocks:
    """(expansion, channels out, stride) of every inverted residual."""
    for expansion, channels, count, stride in STAGES:
        for block in range(count):
            yield expansion, make_divisible(channels * WIDTH), stride if block == 0 else 1


def batch(size: int) -> tuple[Array, Array]:
    """Pictures f32[N, 3, H, W] and labels i64[N]."""
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((size, 3, SIDE, SIDE)).astype(np.float32)
    return pictures, (np.arange(size) * 7) % CLASSES


def torch_model() -> MobileNetV2:
    torch.manual_seed(0)
    return mobilenet_v2(CLASSES, WIDTH, DROPOUT).train()


def ordered(model: MobileNetV2) -> tuple[list[Array], list[Array]]:
    """Kernels and norms' (gamma, beta) and the classifier, in the order of execution; statistics.

    Convolutions as HWIO (HW1O if depthwise), the classifier as [in, out].
    """
    weights: list[Array] = []
    statistics: list[Array] = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            weights.append(module.weight.detach().numpy().transpose(2, 3, 1, 0).copy())
        elif isinstance(module, torch.nn.BatchNorm2d):
            weights += [module.weight.detach().numpy(), module.bias.detach().numpy()]
            statistics += [module.get_buffer(n).numpy() for n in ("running_mean", "running_var")]
        elif isinstance(module, torch.nn.Linear):
            weights += [module.weight.detach().numpy().T.copy(), module.bias.detach().numpy()]
    return weights, statistics


def _torch_job(size: int, target: str) -> Job:
    pictures, labels = batch(size)
    given = (torch.from_numpy(pictures),)
    return Job(torch_model(), given, torch.from_numpy(labels), "cross_entropy", SGD(0.01), "full",
               target, "net")  # fmt: skip


def _flax_job(size: int, target: str) -> Job:
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    import pock.jax

    class Net(nn.Module):
        """The layers of `pock.zoo.mobilenet`, with channels last."""

        @nn.compact
        def __call__(self, x: Any, train: bool) -> Any:
            count = iter(range(1000))

            def conv_norm(x: Any, outputs: int, kernel: int, stride: int, groups: int = 1) -> Any:
                number, pad = next(count), (kernel - 1) // 2
                x = nn.Conv(
                    outputs, (kernel, kernel), stride, ((pad, pad), (pad, pad)),
                    feature_group_count=groups, use_bias=False, name=f"conv_{number:02}",
                )(x)  # fmt: skip
                norm = nn.BatchNorm(
                    not train, momentum=0.9, epsilon=EPSILON, name=f"norm_{number:02}"
                )
                return norm(x)

            x = nn.relu6(conv_norm(x, make_divisible(32 * WIDTH), 3, 2))
            for expansion, outputs, stride in blocks():
                inputs = x.shape[-1]
                y = x
                if expansion > 1:
                    y = nn.relu6(conv_norm(y, inputs * expansion, 1, 1))
                y = nn.relu6(conv_norm(y, y.shape[-1], 3, stride, y.shape[-1]))
                y = conv_norm(y, outputs, 1, 1)
                x = x + y if stride == 1 and inputs == outputs else y
            x = nn.relu6(conv_norm(x, 1280, 1, 1)).mean((1, 2))
            x = nn.Dropout(DROPOUT, deterministic=not train)(x)
            return nn.Dense(CLASSES, name="classifier")(x)

    pictures, labels = batch(size)
    given = jnp.asarray(pictures.transpose(0, 2, 3, 1))
    shapes = jax.eval_shape(lambda: Net().init(jax.random.key(0), given, False))
    variables = _filled(shapes)
    job = pock.jax.linen(Net(), variables)
    return Job(job, (given,), jnp.asarray(labels, jnp.int32), "cross_entropy", SGD(0.01), "full",
               target, "net")  # fmt: skip


def _filled(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the flax model, with the weights of PyTorch's."""
    import jax.numpy as jnp

    weights, statistics = (iter(values) for values in ordered(torch_model()))
    parameters, running = {}, {}
    convolutions = sum(name.startswith("conv_") for name in shapes["params"])
    for number in range(convolutions):
        kernel, gamma, beta = (jnp.asarray(next(weights)) for _ in range(3))
        parameters[f"conv_{number:02}"] = {"kernel": kernel}
        parameters[f"norm_{number:02}"] = {"scale": gamma, "bias": beta}
        mean, variance = (jnp.asarray(next(statistics)) for _ in range(2))
        running[f"norm_{number:02}"] = {"mean": mean, "var": variance}
    kernel, bias = (jnp.asarray(next(weights)) for _ in range(2))
    parameters["classifier"] = {"kernel": kernel, "bias": bias}
    return {"params": parameters, "batch_stats": running}


def _keras_job(size: int, target: str) -> Job:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras
    from keras import layers

    def conv_norm(x: Any, outputs: int, kernel: int, stride: int, groups: int = 1) -> Any:
        if kernel > 1:
            x = layers.ZeroPadding2D((kernel - 1) // 2)(x)
        if groups > 1:
            x = layers.DepthwiseConv2D(kernel, stride, use_bias=False)(x)
        else:
            x = layers.Conv2D(outputs, kernel, stride, use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)(x)

    def relu6(x: Any) -> Any:
        return layers.ReLU(6.0)(x)

    source = keras.Input((SIDE, SIDE, 3))
    x = relu6(conv_norm(source, make_divisible(32 * WIDTH), 3, 2))
    for expansion, outputs, stride in blocks():
        inputs = x.shape[-1]
        y = x
        if expansion > 1:
            y = relu6(conv_norm(y, inputs * expansion, 1, 1))
        y = relu6(conv_norm(y, y.shape[-1], 3, stride, y.shape[-1]))
        y = conv_norm(y, outputs, 1, 1)
        x = layers.Add()([x, y]) if stride == 1 and inputs == outputs else y
    x = layers.GlobalAveragePooling2D()(relu6(conv_norm(x, 1280, 1, 1)))
    model = keras.Model(source, layers.Dense(CLASSES)(layers.Dropout(DROPOUT)(x)))
    weights, statistics = (iter(values) for values in ordered(torch_model()))
    for variable in model.trainable_variables:
        value = next(weights)
        is_depthwise = value.ndim == 4 and value.shape[2] == 1
        variable.assign(value.transpose(0, 1, 3, 2) if is_depthwise else value)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            variable.assign(next(statistics))
    pictures, labels = batch(size)
    given = pictures.transpose(0, 2, 3, 1).copy()
    return Job(model, (given,), labels.astype(np.int32), "cross_entropy", SGD(0.01), "full",
               target, "net")  # fmt: skip


JOBS: Mapping[str, Callable[[int, str], Job]] = {
    "torch": _torch_job,
    "flax": _flax_job,
    "keras": _keras_job,
}
"""Framework -> the job for a batch size and a target."""
