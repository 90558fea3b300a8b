"""One line for each operation and each way of using it: a name, a function of tensors, arrays.

Shapes are the smallest that tell axes apart; values include what is special. Floats are f64 but
where TensorFlow has no such kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

X = np.array([[-4.0, -3.0, -1.0, -0.5], [0.0, 0.5, 1.0, 2.0], [3.0, 6.0, 7.0, 0.25]])
Y = np.array([[1.0, -3.0, 2.0, -0.5], [0.5, -0.5, 1.0, 4.0], [2.0, 5.0, -7.0, 0.75]])
POSITIVE = np.abs(X) + 0.125
ROW = np.array([0.5, -1.0, 2.0, 0.25])
COLUMN = np.array([[2.0], [-1.0], [0.5]])
CUBE = np.linspace(-2, 3, 24).reshape(2, 3, 4)
CUBES = np.linspace(-1, 1, 40).reshape(2, 4, 5)
MATRIX = np.linspace(-1, 1, 20).reshape(4, 5)
PICTURE = np.sin(np.arange(2 * 6 * 7 * 4.0)).reshape(2, 6, 7, 4)
FILTER = np.cos(np.arange(3 * 2 * 4 * 5.0)).reshape(3, 2, 4, 5)
GROUPED = np.cos(np.arange(3 * 2 * 2 * 6.0)).reshape(3, 2, 2, 6)
DEPTHWISE = np.cos(np.arange(3 * 3 * 4 * 2.0)).reshape(3, 3, 4, 2)
CHANNELS = np.array([0.5, -1.0, 2.0, 0.1])
SPREAD = np.array([1.5, 0.5, 2.0, 0.1])
COUNTS = np.array([[3, -1, 0, 2], [5, 4, -2, 1], [0, 0, 7, 1]], np.int32)
TRUTH = np.array([[True, False, True, True], [False] * 4, [True] * 4])
LABELS = np.array([1, 3, 0], np.int32)
SOFT = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0], [0.25] * 4])
IDS = np.array([[2, 0], [1, 2]], np.int32)

Case = tuple[Callable[..., Any], tuple[Any, ...]]

UNARY: Mapping[str, Callable[[Any], Any]] = {
    "abs": tf.abs,
    "ceil": tf.math.ceil,
    "cos": tf.cos,
    "erf": tf.math.erf,
    "erfc": tf.math.erfc,
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "floor": tf.floor,
    "neg": tf.negative,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "rint": tf.math.rint,
    "round": tf.round,
    "sigmoid": tf.sigmoid,
    "sign": tf.sign,
    "silu": tf.nn.silu,
    "sin": tf.sin,
    "square": tf.square,
    "tanh": tf.tanh,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.1),
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "gelu": tf.nn.gelu,
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "maximum_zero": lambda x: tf.maximum(x, tf.zeros((), x.dtype)),
    "zero_maximum": lambda x: tf.maximum(tf.zeros((), x.dtype), x),
    "minimum_one": lambda x: tf.minimum(x, tf.ones((), x.dtype)),
    "one_minimum": lambda x: tf.minimum(tf.ones((), x.dtype), x),
    "clip": lambda x: tf.clip_by_value(x, -0.5, 1.0),
    "clip_op": lambda x: tf.raw_ops.ClipByValue(
        t=x, clip_value_min=tf.cast(-0.5, x.dtype), clip_value_max=tf.cast(1.0, x.dtype)
    ),
    "pow2": lambda x: x**2,
    "pow3": lambda x: x**3,
    "pow1": lambda x: x**1,
    "add_number": lambda x: x + 1.5,
    "rsub": lambda x: 1 - x,
    "div_number": lambda x: x / 3,
    "times_one": lambda x: 1 * x,
    "add_n": lambda x: tf.add_n([x, x * x, -x]),
    "isnan": lambda x: tf.where(tf.math.is_nan(x), x, x * 2),
    "isinf": lambda x: tf.where(tf.math.is_inf(x), x, x * 3),
    "isfinite": lambda x: tf.where(tf.math.is_finite(x), x, x * 3),
    "cast": lambda x: tf.cast(x > 0.5, x.dtype) * x,
    "truncated": lambda x: tf.cast(tf.cast(x, tf.int32), x.dtype) + x,
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "softmax0": lambda x: tf.nn.softmax(x, 0),
    "logsumexp": lambda x: tf.reduce_logsumexp(x, 1),
    "sum": tf.reduce_sum,
    "sum1": lambda x: tf.reduce_sum(x, 1),
    "sum_keep": lambda x: tf.reduce_sum(x, 0, keepdims=True),
    "mean": tf.reduce_mean,
    "mean_last": lambda x: tf.reduce_mean(x, -1, keepdims=True),
    "variance": lambda x: tf.math.reduce_variance(x, 1),
    "std": tf.math.reduce_std,
    "max": tf.reduce_max,
    "max1": lambda x: tf.reduce_max(x, 1),
    "min0": lambda x: tf.reduce_min(x, 0),
    "prod": lambda x: tf.reduce_prod(x, 1),
    "norm": lambda x: tf.norm(x, axis=1),
    "euclidean": lambda x: tf.math.reduce_euclidean_norm(x, 1),
    "l2_loss": tf.nn.l2_loss,
    "l2_normalize": lambda x: tf.math.l2_normalize(x, 1),
    "cumsum": lambda x: tf.cumsum(x, 1),
    "cumsum_back": lambda x: tf.cumsum(x, 0, exclusive=True, reverse=True),
    "moments": lambda x: tf.add(*tf.nn.moments(x, 1)),
    "unstack": lambda x: tf.unstack(x, axis=1)[2],
    "stack": lambda x: tf.stack([x, -x], 1),
    "split": lambda x: tf.split(x, 2, 1)[1],
    "split_sizes": lambda x: tf.split(x, [1, -1], 1)[1],
    "concat": lambda x: tf.concat([x, x * 2], 1),
    "slice": lambda x: tf.slice(x, [1, 0], [-1, 2]),
    "strided": lambda x: x[1:, ::3],
    "strided_back": lambda x: x[::-1, 3:0:-2],
    "picked": lambda x: x[-1],
    "picked_last": lambda x: x[..., -2],
    "new_axis": lambda x: x[:, tf.newaxis, ..., 1:],
    "clipped": lambda x: x[-9:2, 1:99],
    "reshape": lambda x: tf.reshape(x, (2, -1)),
    "flatten_dynamic": lambda x: tf.reshape(x, (tf.shape(x)[1], tf.size(x) // tf.shape(x)[1])),
    "transpose": tf.transpose,
    "expand": lambda x: tf.expand_dims(x, 1),
    "squeeze": lambda x: tf.squeeze(x[None, :, None]),
    "squeeze0": lambda x: tf.squeeze(x[None, :, None], [0]),
    "tile": lambda x: tf.tile(x, (2, 3)),
    "broadcast": lambda x: tf.broadcast_to(x, (2, 3, 4)),
    "repeat": lambda x: tf.repeat(x, 2, 1),
    "pad": lambda x: tf.pad(x, ((1, 0), (0, 2)), constant_values=0.5),
    "pad_zero": lambda x: tf.pad(x, ((0, 0), (1, 2))),
    "reflect": lambda x: tf.pad(x, ((1, 2), (0, 3)), "REFLECT"),
    "symmetric": lambda x: tf.pad(x, ((3, 0), (1, 4)), "SYMMETRIC"),
    "reverse": lambda x: tf.reverse(x, [0, -1]),
    "band": lambda x: tf.linalg.band_part(x, -1, 1),
    "roll": lambda x: tf.concat([x[:, 1:], x[:, :1]], 1),
    "where_number": lambda x: tf.where(x > 0, x, tf.cast(0.25, x.dtype)),
    "zeros_like": lambda x: tf.zeros_like(x) + tf.ones_like(x) * 2 - x,
    "range": lambda x: x * tf.cast(tf.range(1, 9, 2), x.dtype),
    "fill": lambda x: x + tf.fill((3, 1), x[0, 0]),
    "stopped_constant": lambda x: x + tf.stop_gradient(tf.ones((4,), x.dtype)),
    "gathered": lambda x: tf.gather(x, [[3, 0], [1, 1]], axis=1),
    "rows": lambda x: tf.gather(x, [2, 0, 2]),
    "batch_gather": lambda x: tf.gather(x, [[0, 3], [1, 1], [2, 0]], batch_dims=1, axis=1),
    "lookup": lambda x: tf.nn.embedding_lookup(x, IDS),
    "branch": lambda x: tf.cond(tf.constant(True), lambda: x * 2, lambda: x * 3),
    "switch": lambda x: tf.switch_case(tf.constant(1), [lambda: x * 2, lambda: x * 3]),
    "loop": lambda x: tf.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, y * y * 0.5), (tf.constant(0), x)
    )[1],
    "scan": lambda x: tf.scan(lambda a, b: a * 0.5 + b, x),
    "function": tf.function(lambda x: tf.nn.relu(x) * x),
}
"""Functions of X."""

NO_GRADIENT = frozenset(("ceil", "floor", "rint", "round", "sign"))
"""The gradient is zero everywhere, which autodiff leaves out."""

OTHERS: Mapping[str, Case] = {
    "log": (tf.math.log, (POSITIVE,)),
    "log1p": (tf.math.log1p, (POSITIVE,)),
    "sqrt": (tf.sqrt, (POSITIVE,)),
    "rsqrt": (tf.math.rsqrt, (POSITIVE,)),
    "reciprocal": (tf.math.reciprocal, (POSITIVE,)),
    "pow_half": (lambda x: x**0.5 + x**-0.5 + x**-1 + x**2.5, (POSITIVE,)),
    "pow": (tf.pow, (POSITIVE, Y)),
    "add": (tf.add, (X, ROW)),
    "sub": (tf.subtract, (COLUMN, ROW)),
    "mul": (tf.multiply, (X, COLUMN)),
    "div": (tf.divide, (X, POSITIVE)),
    "div_no_nan": (tf.math.divide_no_nan, (Y, X)),
    "maximum": (tf.maximum, (X, Y)),
    "minimum": (tf.minimum, (X, Y)),
    "squared_difference": (tf.math.squared_difference, (X, ROW)),
    "select": (lambda c, x, y: tf.where(c, x, y), (TRUTH, X, ROW)),
    "select_rows": (
        lambda x, y: tf.raw_ops.Select(condition=tf.constant([True, False, True]), x=x, y=y),
        (X, Y),
    ),
    "compare": (lambda x, y: tf.where((x < y) | ~(x == y) & (x >= 0.5), x, y), (X, Y)),
    "sigmoid_loss": (tf.nn.sigmoid_cross_entropy_with_logits, (SOFT, X)),
    "matmul": (tf.matmul, (X, MATRIX)),
    "matmul_transposed": (lambda a, b: tf.matmul(a, b, True, True), (X.T, MATRIX.T)),
    "batch_matmul": (tf.matmul, (CUBE, CUBES)),
    "batch_matmul_wide": (tf.matmul, (CUBE, MATRIX)),
    "batch_matmul_adjoint": (lambda a, b: tf.matmul(a, b, adjoint_b=True), (CUBE, CUBE)),
    "tensordot": (lambda a, b: tf.tensordot(a, b, 1), (CUBE, MATRIX)),
    "einsum": (lambda a, b: tf.einsum("bij,jk->bik", a, b), (CUBE, MATRIX)),
    "einsum_batch": (lambda a, b: tf.einsum("bij,bjk->kbi", a, b), (CUBE, CUBES)),
    "einsum_outer": (lambda a, b: tf.einsum("i,j->ij", a, b), (ROW, CHANNELS)),
    "einsum_turn": (lambda a: tf.einsum("bij->jb", a), (CUBE,)),
    "bias": (tf.nn.bias_add, (PICTURE, CHANNELS)),
    "conv_same": (lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), (PICTURE, FILTER)),
    "conv_valid": (lambda x, w: tf.nn.conv2d(x, w, (1, 2), "VALID"), (PICTURE, FILTER)),
    "conv_explicit": (
        lambda x, w: tf.nn.conv2d(x, w, 1, [[0, 0], [1, 0], [2, 1], [0, 0]]),
        (PICTURE, FILTER),
    ),
    "conv_1d": (
        lambda x, w: tf.nn.conv1d(x, w, 2, "SAME"),
        (CUBES, FILTER[0, :, :, :].repeat(2, 1)[:, :5]),
    ),
    "depthwise": (
        lambda x, w: tf.nn.depthwise_conv2d(x, w, (1, 2, 2, 1), "SAME"),
        (PICTURE, DEPTHWISE),
    ),
    "max_pool": (lambda x: tf.nn.max_pool2d(x, (2, 3), (2, 1), "VALID"), (PICTURE,)),
    "max_pool_same": (lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME"), (PICTURE,)),
    "avg_pool": (lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"), (PICTURE,)),
    "avg_pool_same": (lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), (PICTURE,)),
    "batch_norm": (
        lambda x, m, v, b, g: tf.nn.batch_normalization(x, m, v, b, g, 1e-3),
        (PICTURE, CHANNELS, SPREAD, CHANNELS, SPREAD),
    ),
    "batch_norm_plain": (
        lambda x: tf.nn.batch_normalization(x, *tf.nn.moments(x, (0, 1, 2)), None, None, 1e-3),
        (PICTURE,),
    ),
    "sparse_loss": (
        lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x) * [1, 2, 3],
        (X,),
    ),
    "sparse_loss_mean": (
        lambda x: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x)),
        (X,),
    ),
    "sparse_loss_sum": (
        lambda x: tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, x)),
        (X,),
    ),
    "soft_loss": (lambda x: tf.nn.softmax_cross_entropy_with_logits(SOFT, x), (X,)),
    "soft_loss_of_weights": (
        lambda x: tf.nn.softmax_cross_entropy_with_logits(SOFT * [[2.0], [0.5], [1.0]], x),
        (X,),
    ),
    "stopped": (lambda x: tf.stop_gradient(x * 2) * x, (X,)),
    "depth_to_space": (lambda x: tf.nn.depth_to_space(x, 2), (PICTURE,)),
    "space_to_depth": (lambda x: tf.nn.space_to_depth(x[:, :, :6], 2), (PICTURE,)),
    "nearest": (
        lambda x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=[9, 7], half_pixel_centers=True),
        (PICTURE,),
    ),
    "embedding": (lambda x: tf.nn.embedding_lookup(x, IDS), (X,)),
}
"""Functions with gradients to all their floats."""

F32: Mapping[str, Case] = {
    "bilinear": (
        lambda x: tf.image.resize(x, (9, 5)),
        (PICTURE.astype(np.float32),),
    ),
    "bilinear_corners": (
        lambda x: tf.raw_ops.ResizeBilinear(images=x, size=[9, 5], align_corners=True),
        (PICTURE.astype(np.float32),),
    ),
    "fused_batch_norm": (
        lambda x, g, b: tf.compat.v1.nn.fused_batch_norm(x, g, b, epsilon=1e-3)[0],
        tuple(a.astype(np.float32) for a in (PICTURE, SPREAD, CHANNELS)),
    ),
    "fused_batch_norm_inference": (
        lambda x, g, b: tf.compat.v1.nn.fused_batch_norm(
            x,
            g,
            b,
            b * 0.5,
            g + 1.0,
            epsilon=1e-2,
            is_training=False,
        )[0],
        tuple(a.astype(np.float32) for a in (PICTURE, SPREAD, CHANNELS)),
    ),
}
"""The same, for operations that TensorFlow has in f32 only."""

VALUES: Mapping[str, Case] = {
    "conv_dilated": (
        lambda x, w: tf.nn.conv2d(x, w, 1, "SAME", dilations=(2, 1)),
        (PICTURE, FILTER),
    ),
    "argmax": (lambda x: tf.argmax(x, 1), (X,)),
    "argmin": (lambda x: tf.argmin(x, 0, tf.int32), (X,)),
    "any": (lambda x: tf.reduce_any(x > 2, 1), (X,)),
    "all": (lambda x: tf.reduce_all(x > -2, 1, keepdims=True), (X,)),
    "one_hot": (lambda i: tf.one_hot(i, 3), (IDS,)),
    "one_hot_first": (lambda i: tf.one_hot(i, 4, 2.0, -1.0, 0), (IDS,)),
    "whole_division": (lambda i: i // 2 + i % 3, (COUNTS,)),
    "truncated_division": (
        lambda i: tf.truncatediv(i, 2) + tf.math.floormod(i, -3) + tf.truncatemod(i, 3),
        (COUNTS,),
    ),
    "floor_division": (lambda x: x // 0.75, (X,)),
    "integers": (lambda i: tf.maximum(i, 1) * i - tf.abs(i), (COUNTS,)),
    "equal_truth": (lambda t: tf.equal(t, True), (TRUTH,)),
    "sizes": (lambda x: tf.shape(x)[0] * tf.rank(x) + tf.zeros((2,), tf.int32), (X,)),
    "mask": (lambda n: tf.sequence_mask(n, 5), (np.array([2, 5, 0], np.int32),)),
    "nan_maximum": (
        lambda x, y: tf.maximum(x, y),
        (np.array([np.nan, 1.0, 2.0]), np.array([1.0, np.nan, 3.0])),
    ),
}
"""Functions whose values alone are compared."""

GRADIENTS: dict[str, Case] = {
    **{n: (f, (X,)) for n, f in UNARY.items() if n not in NO_GRADIENT},
    **OTHERS,
    **F32,
}

CASES: dict[str, Case] = {**{n: (f, (X,)) for n, f in UNARY.items()}, **OTHERS, **F32, **VALUES}
