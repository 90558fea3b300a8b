"""Samples of normalisation ops."""

import numpy as np

from pock_ir.dialects import layer_norm, norm
from samples.sample import Operand, Sample, computed, normal, positive

CHANNELS = (
    ((4, 3), 1, "vector", "after a linear layer"),
    ((2, 3, 5, 7), 1, "nchw", "primes"),
    ((2, 5, 7, 3), 3, "nhwc", "channels last"),
    ((2, 17, 3), 1, "remainder", "one channel more than two vectors"),
    ((1, 2, 1, 1), 1, "single", "one element per channel: variance 0"),
)
EPS = 1e-5


def others(x: np.ndarray, axis: int) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if i != axis)


def channel_mean(shape, axis) -> Operand:
    """The mean of operand 1."""
    return computed((shape[axis],), lambda dy, x: x.mean(axis=others(x, axis)))


def channel_samples(shape, axis, id, reason) -> list[Sample]:
    c, x = shape[axis], normal(*shape)
    properties = {"axis": axis, "eps": EPS}
    given = (x, normal(c), normal(c), normal(c), positive(c))
    sums = (normal(*shape), x, channel_mean(shape, axis))
    # With one element per channel the result does not vary with x but for rounding.
    many = x.shape != (1, 2, 1, 1)
    return [
        Sample(norm.BatchNormOp, (x, normal(c), normal(c)), properties, id, reason, smooth=many),
        Sample(norm.BatchNormInferenceOp, given, properties, id, reason),
        Sample(norm.MomentsOp, (x,), {"axis": axis}, id, reason),
        Sample(norm.BatchNormGradSumsOp, sums, {"axis": axis}, id, reason),
    ]


LAYERS = (
    ((2, 3, 17), 2, "last", "one axis with a remainder"),
    ((4, 3, 5), 1, "two", "two axes"),
    ((6,), 0, "whole", "no axis before: statistics of rank 0"),
    ((3, 1), 1, "single", "one element per row: variance 0"),
)


def layer_samples(shape, axis, id, reason) -> list[Sample]:
    lead, inner = shape[:axis], shape[axis:]
    axes = tuple(range(axis, len(shape)))
    mean = computed(lead, lambda dy, x: x.mean(axis=axes))
    rstd = computed(lead, lambda dy, x, mean: 1 / np.sqrt(x.var(axis=axes) + EPS))
    operands = (normal(*shape), normal(*inner), normal(*inner))
    saved = (normal(*shape), normal(*shape), mean, rstd)
    smooth = inner != (1,)
    properties = {"axis": axis, "eps": EPS}
    return [
        Sample(layer_norm.LayerNormOp, operands, properties, id, reason, smooth=smooth),
        Sample(
            layer_norm.LayerNormGradInputOp, (*saved, normal(*inner)), {"axis": axis}, id, reason
        ),
        Sample(layer_norm.LayerNormGradParamsOp, saved, {"axis": axis}, id, reason),
    ]


def far(rng, size, _):
    return rng.standard_normal(size) + 1000


FAR = [
    Sample(
        norm.BatchNormOp,
        (Operand((16, 3), "f32", far), normal(3), normal(3)),
        {"axis": 1, "eps": EPS},
        "far",
        "a mean of 1000: one pass would lose the variance",
        smooth=False,
    ),
    Sample(
        layer_norm.LayerNormOp,
        (Operand((3, 32), "f32", far), normal(32), normal(32)),
        {"axis": 1, "eps": EPS},
        "far",
        "a mean of 1000: one pass would lose the variance",
        smooth=False,
    ),
]

SAMPLES = [
    *(sample for row in CHANNELS for sample in channel_samples(*row)),
    *(sample for row in LAYERS for sample in layer_samples(*row)),
    *FAR,
]
