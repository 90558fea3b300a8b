"""Running one node of a graph eagerly, with TensorFlow's own kernel and gradient.

The node's attributes are kept, so that it computes exactly what the graph does; in double
precision every f32 becomes f64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context, execute

from pock_ir.types import Array

Runner = Callable[[Sequence[Any]], list[Any]]


def constant_array(node: Any) -> Array:
    """The data of a Const node."""
    return tf.make_ndarray(node.get_attr("value"))


def widened(dtype: Any, double: bool) -> Any:
    """f64 in the place of f32 if `double`."""
    return tf.float64 if double and dtype == tf.float32 else dtype


def runner(node: Any, double: bool = False) -> Runner:
    """A function of the node's operands that gives its results and records gradients."""
    if node.type == "Const":
        array = constant_array(node)
        value = tf.constant(array, widened(tf.as_dtype(array.dtype), double))
        return lambda operands: [value]
    if node.type in CONVOLUTIONS:
        return _convolution(node, double)
    if double and node.type.startswith("FusedBatchNorm"):
        return lambda operands: _batch_norm(node, operands)
    return _plain(node, double, {})


CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def _plain(node: Any, double: bool, changed: Mapping[str, Any]) -> Runner:
    """changed: other values for some attributes."""
    attributes: list[Any] = []
    for attribute in node.op_def.attr:
        name = attribute.name
        value = node.node_def.attr[name]
        attributes += [name, changed[name] if name in changed else _plain_value(value, double)]
    attrs, count = tuple(attributes), len(node.outputs)

    def run(operands: Sequence[Any]) -> list[Any]:
        inputs = list(operands)
        results = execute.execute(node.type, count, inputs, attrs, context.context())
        if count and execute.must_record_gradient():
            execute.record_gradient(node.type, inputs, attrs, results)
        return list(results)

    return run


def _plain_value(value: Any, double: bool) -> Any:
    """An attribute as TensorFlow's eager runtime takes it."""
    kind = value.WhichOneof("value")
    if kind == "list":
        return _plain_list(value.list, double)
    if kind == "type":
        return widened(tf.as_dtype(value.type), double).as_datatype_enum
    if kind == "shape":
        return None if value.shape.unknown_rank else _sizes(value.shape)
    return getattr(value, kind) if kind else None


def _plain_list(values: Any, double: bool) -> list[Any]:
    types = [widened(tf.as_dtype(item), double).as_datatype_enum for item in values.type]
    shapes = [_sizes(item) for item in values.shape]
    return [*values.s, *values.i, *values.f, *values.b, *types, *shapes]


def _sizes(shape: Any) -> list[int]:
    return [dim.size for dim in shape.dim]


def _convolution(node: Any, double: bool) -> Runner:
    """A convolution that the CPU has a gradient of: neither dilated nor grouped.

    Dilated weights have zeros in them; a grouped convolution is one for each group.
    """
    run = _plain(node, double, {"dilations": [1, 1, 1, 1]})
    is_nhwc = node.get_attr("data_format") == b"NHWC"
    axis, first = (3, 1) if is_nhwc else (1, 2)
    height, width = node.get_attr("dilations")[first : first + 2]

    def convolve(operands: Sequence[Any]) -> list[Any]:
        x, w = operands[0], _dilated(operands[1], height, width)
        count = x.shape[axis] // w.shape[2]
        if node.type != "Conv2D" or count == 1:
            return run((x, w))
        parts = zip(tf.split(x, count, axis), tf.split(w, count, 3), strict=True)
        return [tf.concat([run(pair)[0] for pair in parts], axis)]

    return convolve


def _dilated(w: Any, height: int, width: int) -> Any:
    """w[H, W, ...] with height - 1 and width - 1 zeros between any two of its rows and columns."""
    rows, columns, *rest = w.shape
    split = tf.reshape(w, (rows, 1, columns, 1, *rest))
    gaps = [(0, 0), (0, height - 1), (0, 0), (0, width - 1), (0, 0), (0, 0)]
    wide = tf.reshape(tf.pad(split, gaps), (rows * height, columns * width, *rest))
    return wide[: (rows - 1) * height + 1, : (columns - 1) * width + 1]


def _batch_norm(node: Any, operands: Sequence[Any]) -> list[Any]:
    """Fused batch norm, which has no kernel in double precision, by its formula."""
    if node.get_attr("data_format") == b"NHWC":
        return _batch_norm_nhwc(node, operands)
    x, *given = operands
    y, *statistics = _batch_norm_nhwc(node, [tf.transpose(x, (0, 2, 3, 1)), *given])
    return [tf.transpose(y, (0, 3, 1, 2)), *statistics]


def _batch_norm_nhwc(node: Any, operands: Sequence[Any]) -> list[Any]:
    """Statistics have no gradient; the running variance is the unbiased one."""
    x, scale, offset, mean, variance = operands
    eps = node.get_attr("epsilon")
    if not node.get_attr("is_training"):
        mean, variance = tf.stop_gradient(mean), tf.stop_gradient(variance)
        return [tf.nn.batch_normalization(x, mean, variance, offset, scale, eps), mean, variance]
    found = tf.nn.moments(x, (0, 1, 2))
    y = tf.nn.batch_normalization(x, *found, offset, scale, eps)
    count = tf.size(x) // tf.size(scale)
    unbiased = found[1] * tf.cast(count / tf.maximum(count - 1, 1), x.dtype)
    weight = node.get_attr("exponential_avg_factor") if node.type.endswith("V3") else 1.0
    if weight == 1.0:
        new = [found[0], unbiased]
    else:
        pairs = ((mean, found[0]), (variance, unbiased))
        new = [(1.0 - weight) * old + weight * value for old, value in pairs]
    return [y, *map(tf.stop_gradient, new), *[None] * (len(node.outputs) - 3)]
