"""Samples of cross entropy."""

import numpy as np

from pock_ir.dialects.loss import CrossEntropyGradOp, CrossEntropyOp
from samples.sample import Sample, computed, given, integers, normal


def log_normalizer(logits, labels):
    peak = logits.max(axis=1, keepdims=True)
    return (peak + np.log(np.exp(logits - peak).sum(axis=1, keepdims=True)))[:, 0]


def samples(id, reason, logits, labels, ignore=-100, reduction="mean", smoothing=0.0, smooth=True):
    properties = {
        "ignore_index": ignore,
        "reduction": reduction,
        "label_smoothing": smoothing,
    }
    saved = computed(logits.shape[:1], log_normalizer)
    return [
        Sample(CrossEntropyOp, (logits, labels), properties, id, reason, smooth=smooth),
        Sample(CrossEntropyGradOp, (logits, labels, saved, normal()), properties, id, reason),
    ]


LABELS = integers(0, 7, 5)
LARGE = given([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, 1000.0]])

SAMPLES = [
    *samples("mean", "the plain case", normal(5, 7), LABELS),
    *samples("sum", "no divisor", normal(5, 7), LABELS, reduction="sum"),
    *samples("i32", "32-bit labels", normal(5, 7), integers(0, 7, 5, dtype="i32")),
    *samples("ignored", "two rows do not count", normal(4, 3), given([0, -100, 2, -100], "i64")),
    *samples(
        "ignored-class", "ignore_index is a class", normal(4, 3), given([0, 1, 2, 1], "i64"), 1
    ),
    *samples(
        "all-ignored",
        "mean of nothing is NaN",
        normal(2, 3),
        given([-100, -100], "i64"),
        smooth=False,
    ),
    *samples("smoothed", "label smoothing", normal(5, 7), LABELS, smoothing=0.1),
    *samples(
        "smoothed-ignored",
        "label smoothing over counted rows",
        normal(4, 3),
        given([0, -100, 2, 1], "i64"),
        smoothing=0.3,
        reduction="sum",
    ),
    *samples("one", "one row, one class", normal(1, 1), given([0], "i64")),
    *samples("large", "exp would overflow", LARGE, given([0, 0], "i64")),
]
