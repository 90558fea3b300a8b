"""Samples of table lookups."""

from pock_ir.dialects.embedding import EmbeddingGradOp, EmbeddingOp
from samples.sample import Sample, given, integers, normal


def samples(id, reason, rows, width, ids, padding=-1) -> list[Sample]:
    properties = {"padding_index": padding}
    dy = normal(*ids.shape, width)
    return [
        Sample(EmbeddingOp, (normal(rows, width), ids), properties, id, reason),
        Sample(EmbeddingGradOp, (ids, dy), {"rows": rows, **properties}, id, reason),
    ]


SAMPLES = [
    *samples("plain", "two dims of ids", 7, 5, integers(0, 7, 2, 3)),
    *samples("repeated", "one row several times", 3, 17, given([1, 1, 0, 1], "i64")),
    *samples("padding", "a row without gradient", 4, 3, given([0, 2, 2, 3], "i32"), 2),
    *samples("scalar", "ids of rank 0", 4, 3, given(2, "i64")),
    *samples("one", "one row", 1, 1, given([0], "i64")),
]
OUTSIDE = samples("outside", "ids beyond both ends are clamped", 3, 2, given([-5, 0, 9], "i64"))
SAMPLES += OUTSIDE
