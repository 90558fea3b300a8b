"""Samples of reductions."""

from pock_ir.dialects.reduce import ArgMaxOp, ArgMinOp, MaxOp, MeanOp, MinOp, ProdOp, SumOp
from samples.sample import Sample, distinct, given, integers, normal, positive

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
    for op in (SumOp, MaxOp, MinOp, ProdOp)
]
SPECIAL = [[NAN, 1.0, INF], [-INF, -INF, -INF], [INF, -INF, 0.0]]

REDUCTIONS = (
    (SumOp, normal),
    (MeanOp, normal),
    (MaxOp, distinct),
    (MinOp, distinct),
    (ProdOp, positive),
)

ARGUMENTS = [
    Sample(op, (x,), {"axis": axis, "index": index}, id, reason)
    for op in (ArgMaxOp, ArgMinOp)
    for x, axis, index, id, reason in (
        (distinct(3, 17), 1, "i64", "rows", "contiguous, with a remainder"),
        (distinct(17, 3), 0, "i32", "columns", "strided"),
        (distinct(2, 3, 5), 1, "i64", "middle", "an axis between others"),
        (distinct(4), 0, "i32", "vector", "to rank 0"),
        (given([[1.0, 2.0, 2.0, 1.0], [0.0, -0.0, 0.0, -0.0]]), 1, "i64", "tie", "the first"),
        (given([[1.0, NAN, 2.0, NAN], [INF, -INF, INF, -INF]]), 1, "i64", "nan", "the first NaN"),
        (given([[1, 3, 3, -(2**31)], [0, 0, 0, 0]], "i32"), 1, "i32", "i32", "integers"),
    )
]

LEAST = Sample(
    MinOp,
    (given([[5, -(2**31)], [7, 9]], "i32"),),
    {"axes": [1]},
    "least",
    "no opposite",
    smooth=False,
)
ZEROS = [
    Sample(ProdOp, (given(x),), {"axes": [1]}, id, reason)
    for x, id, reason in (
        ([[2.0, 0.0, 3.0]], "zero", "one factor of 0 has a gradient"),
        ([[0.0, 2.0, 0.0]], "zeros", "two leave none"),
    )
]

SAMPLES = [
    *(
        Sample(op, (make(*shape),), {"axes": axes}, id, reason)
        for op, make in REDUCTIONS
        for shape, axes, id, reason in AXES
    ),
    *(
        Sample(op, (given(SPECIAL),), {"axes": [1]}, "special", "NaN and inf", smooth=False)
        for op in (SumOp, MeanOp, MaxOp, MinOp, ProdOp)
    ),
    Sample(MaxOp, (given([[1.0, 1.0, 0.0]]),), {"axes": [1]}, "tie", "equal maxima", smooth=False),
    *INTEGER,
    *ARGUMENTS,
    *ZEROS,
    LEAST,
]
