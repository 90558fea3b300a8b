"""Rows about layouts, padding, pooling and resampling."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch.nn.functional as F
from difference_rows import Row, Spelling
from flax import linen
from framework_models import KerasModel, TensorFlowModel, TorchModel, jax_model
from jax import lax

PICTURE = np.sin(np.arange(2 * 8 * 6 * 3.0)).reshape(2, 8, 6, 3).astype(np.float32)
KERNEL = np.cos(np.arange(3 * 3 * 3 * 4.0)).reshape(3, 3, 3, 4).astype(np.float32)
DEPTHWISE = np.cos(np.arange(3 * 3 * 3 * 2.0)).reshape(3, 3, 3, 2).astype(np.float32)
NAMES = ("NHWC", "HWIO", "NHWC")
ONES = np.ones((1, 4, 4, 1), np.float32)


def first(picture: np.ndarray) -> np.ndarray:
    """Channels behind the batch, as PyTorch has them."""
    return np.ascontiguousarray(np.moveaxis(picture, -1, 1))


def last(picture: np.ndarray) -> np.ndarray:
    return np.moveaxis(picture, 1, -1)


def oihw(kernel: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def torch_conv(x: Any, w: Any) -> Any:
    return F.conv2d(x, w)


def lax_conv(x: Any, w: Any) -> Any:
    return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=NAMES)


PLAIN = {"x": PICTURE, "w": KERNEL}
NCHW = {"layout": "nchw", "weight_layout": "oihw"}
NHWC = {"layout": "nhwc", "weight_layout": "hwio"}
PICTURES_FIRST = {"x": first(PICTURE), "w": oihw(KERNEL)}

LAYOUTS = Row(
    "picture and convolution kernel layout",
    {
        "torch": Spelling(
            lambda: TorchModel(torch_conv, **PICTURES_FIRST),
            shows={"nn.conv2d": NCHW},
            hides=("nn.transpose",),
            common=last,
        ),
        "jax": Spelling(
            lambda: jax_model(lax_conv, **PLAIN),
            shows={"nn.conv2d": NHWC},
            hides=("nn.transpose",),
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), **PLAIN),
            shows={"nn.conv2d": NHWC},
            hides=("nn.transpose",),
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, w: keras.ops.conv(x, w), **PLAIN),
            shows={"nn.conv2d": NHWC},
            hides=("nn.transpose",),
        ),
    },
    [("torch", "jax", "tensorflow", "keras")],
)

BATCH = np.sin(np.arange(12.0)).reshape(3, 4).astype(np.float32)
SQUARE = np.sin(np.arange(16.0)).reshape(4, 4).astype(np.float32)
IN_ROWS = {"x": BATCH, "w": SQUARE}

LINEAR = Row(
    "weight of a linear layer",
    {
        "torch": Spelling(
            lambda: TorchModel(F.linear, **IN_ROWS), shows={"nn.linear": {"weight_layout": "oi"}}
        ),
        "jax": Spelling(
            lambda: jax_model(jnp.matmul, **IN_ROWS), shows={"nn.linear": {"weight_layout": "io"}}
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(tf.matmul, **IN_ROWS),
            shows={"nn.linear": {"weight_layout": "io"}},
        ),
        "keras": Spelling(
            lambda: KerasModel(keras.ops.matmul, **IN_ROWS),
            shows={"nn.linear": {"weight_layout": "io"}},
        ),
    },
    [("torch",), ("jax", "tensorflow", "keras")],
)

TOKENS = np.sin(np.arange(24.0)).reshape(2, 3, 4).astype(np.float32)
HEADS = np.cos(np.arange(24.0)).reshape(4, 3, 2).astype(np.float32)
IN_HEADS = {"x": TOKENS, "w": HEADS}
TO_HEADS = "btf,fhd->bthd"
RESHAPED = {"nn.linear": {"weight_layout": "io"}}

PROJECTION = Row(
    "kernel of an attention projection",
    {
        "torch": Spelling(
            lambda: TorchModel(F.linear, x=TOKENS, w=HEADS.reshape(4, 6).T.copy()),
            shows={"nn.linear": {"weight_layout": "oi"}},
            common=lambda value: value.reshape(2, 3, 3, 2),
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x, w: jnp.einsum(TO_HEADS, x, w), **IN_HEADS), shows=RESHAPED
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, w: tf.einsum(TO_HEADS, x, w), **IN_HEADS)
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, w: keras.ops.einsum(TO_HEADS, x, w), **IN_HEADS)
        ),
    },
    [("torch", "jax", "tensorflow", "keras")],
)

DEPTHS = {"x": PICTURE, "w": DEPTHWISE}


def lax_depthwise(x: Any, w: Any) -> Any:
    kernel = w.reshape(3, 3, 1, 6)
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=NAMES, feature_group_count=3
    )


DEPTHWISE_KERNELS = Row(
    "depthwise kernel",
    {
        "torch": Spelling(
            lambda: TorchModel(
                lambda x, w: F.conv2d(x, w.permute(2, 3, 0, 1).reshape(6, 1, 3, 3), groups=3),
                x=first(PICTURE),
                w=DEPTHWISE,
            ),
            shows={"nn.conv2d": {"groups": 3, "weight_layout": "oihw"}},
            common=last,
        ),
        "jax": Spelling(
            lambda: jax_model(lax_depthwise, **DEPTHS),
            shows={"nn.conv2d": {"groups": 3, "weight_layout": "hwio"}},
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(
                lambda x, w: tf.nn.depthwise_conv2d(x, w, [1] * 4, "VALID"), **DEPTHS
            ),
            shows={"nn.conv2d": {"groups": 3, "weight_layout": "hwio"}},
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, w: keras.ops.depthwise_conv(x, w), **DEPTHS),
            shows={"nn.conv2d": {"groups": 3, "weight_layout": "hwio"}},
        ),
    },
    [("torch", "jax", "tensorflow", "keras")],
)

PADS_0_1 = {"nn.conv2d": {"pad_low": (0, 0), "pad_high": (1, 1), "strides": (2, 2)}}
PADS_1_1 = {"nn.conv2d": {"pad_low": (1, 1), "pad_high": (1, 1), "strides": (2, 2)}}

SAME_PADDING = Row(
    "SAME padding with stride 2",
    {
        "torch": Spelling(
            lambda: TorchModel(lambda x, w: F.conv2d(x, w, None, 2, 1), **PICTURES_FIRST),
            shows=PADS_1_1,
            common=last,
        ),
        "jax": Spelling(
            lambda: jax_model(
                lambda x, w: lax.conv_general_dilated(
                    x, w, (2, 2), "SAME", dimension_numbers=NAMES
                ),
                **PLAIN,
            ),
            shows=PADS_0_1,
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), **PLAIN),
            shows=PADS_0_1,
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x, w: keras.ops.conv(x, w, 2, "same"), **PLAIN),
            shows=PADS_0_1,
        ),
        "torch.padded": Spelling(
            lambda: TorchModel(
                lambda x, w: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, None, 2), **PICTURES_FIRST
            ),
            shows=PADS_0_1,
            common=last,
        ),
    },
    [("torch",), ("jax", "tensorflow", "keras", "torch.padded")],
)


def counted(count: bool) -> dict[str, dict[str, object]]:
    return {"nn.avg_pool2d": {"count_include_pad": count, "pad_low": (1, 1), "pad_high": (1, 1)}}


POOL_BORDERS = Row(
    "borders of average pooling",
    {
        "torch": Spelling(
            lambda: TorchModel(lambda x: F.avg_pool2d(x, 3, 1, 1), x=first(ONES)),
            shows=counted(True),
            common=last,
        ),
        "torch.excluded": Spelling(
            lambda: TorchModel(
                lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), x=first(ONES)
            ),
            shows=counted(False),
            common=last,
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x: linen.avg_pool(x, (3, 3), (1, 1), "SAME"), x=ONES),
            shows=counted(True),
        ),
        "jax.excluded": Spelling(
            lambda: jax_model(
                lambda x: linen.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False),
                x=ONES,
            ),
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME"), x=ONES),
            shows=counted(False),
        ),
        "keras": Spelling(
            lambda: KerasModel(lambda x: keras.ops.average_pool(x, 3, 1, "same"), x=ONES),
        ),
    },
    [("torch", "jax"), ("torch.excluded", "jax.excluded", "tensorflow", "keras")],
    lambda results: (results.outputs, *results.gradients.values()),
)

RAMP = np.arange(12, dtype=np.float32).reshape(1, 4, 3, 1)
HALF = {"coordinates": "half_pixel", "method": "linear"}

BILINEAR = Row(
    "bilinear resampling",
    {
        "torch": Spelling(
            lambda: TorchModel(
                lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), x=first(RAMP)
            ),
            shows={"nn.resize": HALF},
            common=last,
        ),
        "jax": Spelling(
            lambda: jax_model(lambda x: jax.image.resize(x, (1, 8, 6, 1), "bilinear"), x=RAMP),
        ),
        "tensorflow": Spelling(
            lambda: TensorFlowModel(lambda x: tf.image.resize(x, (8, 6)), x=RAMP),
            shows={"nn.resize": HALF},
        ),
        "keras": Spelling(lambda: KerasModel(lambda x: keras.ops.image.resize(x, (8, 6)), x=RAMP)),
        "torch.corners": Spelling(
            lambda: TorchModel(
                lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
                x=first(RAMP),
            ),
            shows={"nn.resize": {"coordinates": "align_corners"}},
            common=last,
        ),
    },
    [("torch", "jax", "tensorflow", "keras"), ("torch.corners",)],
)

WINDOW_ROWS = (
    LAYOUTS,
    LINEAR,
    PROJECTION,
    DEPTHWISE_KERNELS,
    SAME_PADDING,
    POOL_BORDERS,
    BILINEAR,
)
