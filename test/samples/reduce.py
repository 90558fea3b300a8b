"""Samples of reductions."""

from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from samples.sample import Sample, distinct, given, integers, normal

NAN, INF = float("nan"), float("inf")

AXES = (
    ((3, 17), [1], "rows", "contiguous, with a remainder"),
    ((17, 3), [0], "columns", "strided"),
    ((2, 3, 5, 7), [0, 2, 3], "channels", "a bias gradient in NCHW"),
    ((2, 3, 4), [], "none", "no axis"),
    ((5, 7), [0, 1], "all", "to rank 0"),
    ((1, 4), [0], "one", "a single element"),
    ((), [], "scalar", "rank 0"),
)
INTEGER = [
    Sample(
        op, (integers(-9, 9, 3, 5, dtype="i32"),), {"axes": [1]}, "i32", "integers", smooth=False
    )
    for op in (SumOp, MaxOp)
]
SPECIAL = [[NAN, 1.0, INF], [-INF, -INF, -INF], [INF, -INF, 0.0]]

SAMPLES = [
    *(
        Sample(op, (make(*shape),), {"axes": axes}, id, reason)
        for op, make in ((SumOp, normal), (MeanOp, normal), (MaxOp, distinct))
        for shape, axes, id, reason in AXES
    ),
    *(
        Sample(op, (given(SPECIAL),), {"axes": [1]}, "special", "NaN and inf", smooth=False)
        for op in (SumOp, MeanOp, MaxOp)
    ),
    Sample(MaxOp, (given([[1.0, 1.0, 0.0]]),), {"axes": [1]}, "tie", "equal maxima", smooth=False),
    *INTEGER,
]
