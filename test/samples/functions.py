"""Samples of elementwise functions and of integer operations."""

from dataclasses import replace

from pock_ir.dialects import division as i
from pock_ir.dialects import functions as f
from samples.elementwise import SPECIAL, binary, unary, whole_numbers
from samples.sample import Sample, distinct, given, integers, normal, positive

NAN, INF = float("nan"), float("inf")

# Halves, the last odd half and the largest number with a fraction.
HALVES = [0.5, -0.5, 1.5, 2.5, -2.5, 4194303.5, 8388607.5, 16777217.0, 0.49999997, -0.0]

FAR = given([1e5, 2e5, 1e20, -3e38, 355.0])


def without_slope(samples: list[Sample]) -> list[Sample]:
    """The samples of an op that is constant almost everywhere."""
    return [replace(sample, smooth=False) for sample in samples]


WAVES = [sample for op in (f.SinOp, f.CosOp) for sample in unary(op)]
SMOOTH = [sample for op in (f.Expm1Op, f.ErfcOp) for sample in unary(op)]
ROUNDINGS = [
    sample
    for op in (f.FloorOp, f.CeilOp, f.TruncOp, f.RoundOp)
    for sample in (
        *without_slope(unary(op, distinct)),
        Sample(op, (given(HALVES),), {}, "halves", "ties, and no fraction", smooth=False),
    )
]

POWER_LEFT = [NAN, 1.0, 2.0, 0.0, -0.0, 0.0, INF, -INF, -INF, -2.0, -2.0, -2.0, -1.0, 0.5, 1e-40]
POWER_RIGHT = [0.0, NAN, NAN, 3.0, -3.0, -2.0, -1.0, 3.0, 2.5, 3.0, -2.0, 0.5, INF, INF, 0.5]

POW = [
    binary(f.PowOp, "prime", "a remainder", positive(3, 17), normal(3, 17)),
    binary(f.PowOp, "scalar", "rank 0", positive(), normal()),
    binary(
        f.PowOp,
        "negative",
        "whole exponents",
        given([-1.5, -2.0, -0.5]),
        given([2.0, 3, -1]),
        smooth=False,
    ),
    binary(
        f.PowOp,
        "special",
        "NaN, inf, zeros, subnormal",
        given(POWER_LEFT),
        given(POWER_RIGHT),
        smooth=False,
    ),
]

WHOLE_LEFT = [7, -7, 7, -7, 5, -5, 0, 6, -6, -(2**31), -(2**31), -1]
WHOLE_RIGHT = [2, 2, -2, -2, 0, 0, 3, 3, 3, -1, 0, 5]
FLOAT_LEFT = [7.5, -7.5, 7.5, -7.5, 5.0, -0.0, 3.0, 1e6, NAN, 2.0, -2.0]
FLOAT_RIGHT = [2.0, 2.0, -2.0, -2.0, INF, 2.0, 1.5, 0.75, 1.0, 0.5, 0.5]

DIVISION = [
    sample
    for rounding in i.ROUNDINGS
    for sample in (
        binary(
            i.IntegerDivOp,
            rounding,
            "all signs, zero and the least divisor",
            given(WHOLE_LEFT, "i32"),
            given(WHOLE_RIGHT, "i32"),
            rounding=rounding,
        ),
        binary(
            i.IntegerDivOp,
            f"{rounding}-i64",
            "a remainder",
            integers(-99, 99, 3, 7),
            integers(1, 9, 3, 7),
            rounding=rounding,
        ),
        binary(
            i.RemainderOp,
            f"{rounding}-i32",
            "all signs, zero and the least divisor",
            given(WHOLE_LEFT, "i32"),
            given(WHOLE_RIGHT, "i32"),
            rounding=rounding,
            smooth=False,
        ),
        binary(
            i.RemainderOp,
            f"{rounding}-f32",
            "a remainder",
            distinct(3, 17),
            positive(3, 17),
            rounding=rounding,
        ),
        binary(
            i.RemainderOp,
            f"{rounding}-special",
            "all signs, exact multiples, inf",
            given(FLOAT_LEFT),
            given(FLOAT_RIGHT),
            rounding=rounding,
            smooth=False,
        ),
    )
]

BITS = [
    binary(
        i.BitwiseOp,
        f"{operation}-{dtype}",
        "negative numbers too",
        integers(-99, 99, 3, 17, dtype=dtype),
        integers(-99, 99, 3, 17, dtype=dtype),
        operation=operation,
    )
    for operation in i.BIT_OPERATIONS
    for dtype in ("i8", "i32", "i64")
]

SAMPLES = [
    *WAVES,
    *SMOOTH,
    *unary(f.Log1pOp, positive),
    *ROUNDINGS,
    *without_slope(unary(f.SignOp, distinct)),
    whole_numbers(f.SignOp),
    *(Sample(op, (FAR,), {}, "far", "all reductions", smooth=False) for op in (f.SinOp, f.CosOp)),
    Sample(f.ErfcOp, (given([9.0, 5.0, -5.0, 0.5, *SPECIAL]),), {}, "tail", "small", smooth=False),
    *POW,
    *DIVISION,
    *BITS,
]
