"""Samples of normalisation by the root mean square."""

import numpy as np

from pock_ir.dialects import rms_norm as r
from samples.sample import Sample, computed, normal

EPS = 1e-5


def samples(shape, axis, id, reason) -> list[Sample]:
    lead, inner = shape[:axis], shape[axis:]

    def rstd(dy, x):
        square = np.square(x.reshape(*lead, -1)).mean(-1, dtype=np.float64)
        return 1 / np.sqrt(square + EPS)

    saved = (normal(*shape), normal(*shape), computed(lead, rstd))
    properties = {"axis": axis}
    operands = (normal(*shape), normal(*inner))
    return [
        Sample(r.RmsNormOp, operands, {**properties, "eps": EPS}, id, reason),
        Sample(r.RmsNormGradInputOp, (*saved, normal(*inner)), properties, id, reason),
        Sample(r.RmsNormGradWeightOp, saved, properties, id, reason),
    ]


SAMPLES = [
    *samples((3, 17), 1, "rows", "a remainder"),
    *samples((2, 3, 5), 2, "tokens", "two leading dims"),
    *samples((2, 3, 5), 1, "two", "two inner dims"),
    *samples((7,), 0, "vector", "no leading dim"),
    *samples((4, 2), 1, "narrow", "two elements per row"),
]
