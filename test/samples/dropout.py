"""Samples of dropout."""

from pock_ir.dialects.dropout import DropoutOp
from samples.sample import Sample, given, normal

NEGATIVE = given(-1, "i32")


def sample(id, reason, x, p, seed=given(42, "i32"), step=given(3, "i32"), stream=1) -> Sample:  # noqa: B008
    return Sample(DropoutOp, (x, seed, step), {"p": p, "stream": stream}, id, reason)


SAMPLES = [
    sample("half", "a remainder", normal(3, 17), 0.5),
    sample("tenth", "p has no short binary fraction", normal(2, 3, 5), 0.1),
    sample("none", "p of 0 keeps all", normal(5), 0.0),
    sample("scalar", "rank 0", normal(), 0.5),
    sample("negative", "seed and step as unsigned words", normal(9), 0.5, NEGATIVE, NEGATIVE),
    sample("stream", "the largest stream", normal(9), 0.9, stream=2**32 - 1),
]
