"""Samples of matrix products."""

from pock_ir.dialects.matmul import LinearGradWeightOp, LinearOp, MatMulOp
from samples.sample import Sample, normal


def product(batch, m, n, k, left, right, id, reason) -> Sample:
    lhs = normal(*batch, *((k, m) if left else (m, k)))
    rhs = normal(*batch, *((n, k) if right else (k, n)))
    properties = {"transpose_lhs": left, "transpose_rhs": right}
    return Sample(MatMulOp, (lhs, rhs), properties, id, reason)


MATMUL = [
    product((), 3, 5, 7, False, False, "nn", "primes, no transposition"),
    product((), 3, 5, 7, True, False, "tn", "left transposed"),
    product((), 3, 5, 7, False, True, "nt", "right transposed"),
    product((2, 3), 4, 5, 6, True, True, "batch", "two batch dims, both transposed"),
    product((), 1, 1, 1, False, False, "one", "one multiply-add"),
    product((1,), 17, 33, 9, False, False, "remainder", "one more than whole register tiles"),
    product((), 15, 31, 8, False, False, "short", "one less than whole register tiles"),
]

LEADING = (
    ((5,), 7, 3, "matrix", "the plain case"),
    ((2, 3), 5, 17, "sequence", "two leading dims, a remainder"),
    ((), 4, 3, "vector", "no leading dim"),
    ((1,), 1, 1, "one", "one multiply-add"),
    ((16,), 32, 48, "tiles", "whole register tiles"),
)


def weight(outputs: int, inputs: int, layout: str) -> tuple[int, int]:
    return (outputs, inputs) if layout == "oi" else (inputs, outputs)


LINEAR = [
    Sample(
        LinearOp,
        (normal(*lead, inputs), normal(*weight(outputs, inputs, layout))),
        {"weight_layout": layout},
        f"{layout}-{id}",
        reason,
    )
    for layout in ("oi", "io")
    for lead, inputs, outputs, id, reason in LEADING
]

GRADIENT = [
    Sample(
        LinearGradWeightOp,
        (normal(*lead, inputs), normal(*lead, outputs)),
        {"weight_layout": layout},
        f"{layout}-{id}",
        reason,
    )
    for layout in ("oi", "io")
    for lead, inputs, outputs, id, reason in LEADING
]

SAMPLES = [*MATMUL, *LINEAR, *GRADIENT]
