"""Samples of attention: one table for the op and its gradient."""

from math import inf

from pock_ir.dialects.attention import AttentionGradOp, AttentionOp
from pock_ir.interpret import evaluate_op
from samples.sample import Operand, Sample, booleans, computed, given, normal


def samples(
    id, reason, *, b=2, h=3, t=5, s=7, d=4, e=6, rest=(), smooth=True, **changed
) -> list[Sample]:
    """The op and its gradient; the gradient's out and log_normalizer are those of the op."""
    properties = {
        "layout": "bhtd",
        "scale": d**-0.5,
        "causal": False,
        "mask": "none",
        "masked_rows": "zero",
        "dropout": 0.0,
        "stream": 0,
        **changed,
    }

    def shape(length: int, depth: int) -> tuple[int, ...]:
        heads_last = properties["layout"] == "bthd"
        return (b, length, h, depth) if heads_last else (b, h, length, depth)

    forward = (normal(*shape(t, d)), normal(*shape(s, d)), normal(*shape(s, e)), *rest)
    op = Sample(AttentionOp, forward, properties, id, reason, smooth=smooth)
    return [op, gradient(op, shape(t, e), (b, h, t))]


def gradient(sample: Sample, out_shape, rows) -> Sample:
    """Operands in the order dout, q, k, v, out, log_normalizer, rest, drawn in another."""

    def result(index: int, rest):
        def values(dout, q, k, v, *_):
            floats = "f64" if q.dtype == "float64" else "f32"
            extra = [operand.draw(None, operand.shape, ()) for operand in rest]
            return evaluate_op(sample.op(floats), [q, k, v, *extra])[index]

        return values

    q, k, v, *rest = sample.operands
    out = computed(out_shape, result(0, rest))
    normalizer = computed(rows, result(1, rest))
    operands = (normal(*out_shape), q, k, v, out, normalizer, *rest)
    properties, smooth = sample.properties, sample.smooth
    return Sample(AttentionGradOp, operands, properties, sample.id, sample.reason, smooth=smooth)


def drawn(operand: Operand, seed: int) -> Operand:
    """The operand with values drawn now: the op and its gradient must see the same."""
    import numpy as np

    values = operand.draw(np.random.default_rng(seed), operand.shape, ())
    return given(values, operand.dtype)


SEED, STEP = given(1234, "i32"), given(7, "i32")
BLIND = given([[[[True, False, True], [False, False, False]]]], "i1")
LATE = given([[[[False, False, True]]]], "i1")
UNSEEN = given([[[[0.5, -inf, 0.0], [-inf, -inf, -inf]]]])
LOW = given([[[[0.5, -1e30, 0.0], [-1e30, -1e30, -1e30]]]])  # absorbs scores, in f64 as well
HIDDEN = {"b": 1, "h": 2, "t": 2, "s": 3, "mask": "boolean", "rest": (BLIND,)}

SAMPLES = [
    *samples("plain", "primes, T and S differ, D and E differ"),
    *samples("bthd", "heads after time", layout="bthd"),
    *samples("causal", "as many keys as queries", t=5, s=5, causal=True),
    *samples("causal-long", "more queries than keys", t=6, s=4, causal=True, layout="bthd"),
    *samples("boolean", "a full mask", mask="boolean", rest=(drawn(booleans(2, 3, 5, 7), 1),)),
    *samples("padding", "a mask per key", mask="boolean", rest=(drawn(booleans(2, 1, 1, 7), 2),)),
    *samples("blind", "a query sees no key", **HIDDEN),
    *samples("uniform", "it takes the mean of all values", masked_rows="uniform", **HIDDEN),
    *samples("nan", "it gets NaN", masked_rows="nan", smooth=False, **HIDDEN),
    *samples(
        "late",
        "the first queries see no key: neither condition alone hides all, and dropout",
        **{**HIDDEN, "rest": (LATE, SEED, STEP)},
        causal=True,
        masked_rows="uniform",
        dropout=0.25,
        layout="bthd",
    ),
    *samples(
        "lowest",
        "a row of one large number",
        **{**HIDDEN, "mask": "additive", "rest": (LOW,)},
        smooth=False,
    ),
    *samples("added", "-inf is added", **{**HIDDEN, "mask": "additive", "rest": (UNSEEN,)}),
    *samples(
        "added-nan",
        "-inf is added, and causal besides",
        **{**HIDDEN, "mask": "additive", "rest": (UNSEEN,)},
        causal=True,
        masked_rows="nan",
        smooth=False,
    ),
    *samples("additive", "a bias per head", mask="additive", rest=(drawn(normal(1, 3, 5, 7), 3),)),
    *samples("dropout", "some probabilities dropped", dropout=0.25, stream=3, rest=(SEED, STEP)),
    *samples(
        "everything",
        "mask, causal, dropout and layout together",
        layout="bthd",
        mask="boolean",
        causal=True,
        dropout=0.5,
        rest=(drawn(booleans(2, 1, 5, 7), 4), SEED, STEP),
    ),
    *samples("one", "one key: probability 1", b=1, h=1, t=1, s=1, d=1, e=1),
    *samples("tiles", "whole register tiles", b=1, h=2, t=16, s=16, d=16, e=16),
]
