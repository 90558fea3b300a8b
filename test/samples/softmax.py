"""Samples of softmax ops."""

import numpy as np

from pock_ir.dialects.softmax import LogSoftmaxGradOp, LogSoftmaxOp, SoftmaxGradOp, SoftmaxOp
from samples.sample import Operand, Sample, given, normal

INF = float("inf")

AXES = (
    ((3, 17), 1, "rows", "a remainder"),
    ((5, 3, 2), 1, "middle", "a strided axis"),
    ((7,), 0, "vector", "rank 1"),
    ((2, 1), 1, "one", "one class: always 1"),
)


def probabilities(shape, axis, logarithm: bool) -> Operand:
    """What the forward op would have returned."""

    def draw(rng, size, _):
        x = rng.standard_normal(size)
        y = x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
        return y if logarithm else np.exp(y)

    return Operand(tuple(shape), "f32", draw)


def samples(shape, axis, id, reason) -> list[Sample]:
    properties = {"axis": axis}
    y, log_y = probabilities(shape, axis, False), probabilities(shape, axis, True)
    return [
        Sample(SoftmaxOp, (normal(*shape),), properties, id, reason),
        Sample(LogSoftmaxOp, (normal(*shape),), properties, id, reason),
        Sample(SoftmaxGradOp, (y, normal(*shape)), properties, id, reason),
        Sample(LogSoftmaxGradOp, (log_y, normal(*shape)), properties, id, reason),
    ]


EDGES = [[1000.0, 999.0, -1000.0], [-INF, 0.0, 1.0], [-INF, -INF, -INF], [INF, 0.0, 1.0]]

SAMPLES = [
    *(sample for row in AXES for sample in samples(*row)),
    *(
        Sample(op, (given(EDGES),), {"axis": 1}, "edges", "overflow, -inf, inf", smooth=False)
        for op in (SoftmaxOp, LogSoftmaxOp)
    ),
]
