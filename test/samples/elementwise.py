"""Samples of elementwise ops."""

from dataclasses import replace

from pock_ir.dialects import elementwise as e
from samples.sample import Operand, Sample, booleans, distinct, given, integers, normal, positive

NAN, INF = float("nan"), float("inf")

# Every class of float, both zeros, and values whose exponential over- or underflows in f32.
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1.0, -1.0, 3.0, -3.0, 100.0, -100.0, 1e30]

# 17 is two vectors of 8 and one more; rank 0 and size 1 are the degenerate shapes.
SHAPES = (((3, 17), "prime"), ((), "scalar"), ((1,), "one"))


def unary(op_type, make=normal, **properties) -> list[Sample]:
    table = [
        Sample(op_type, (make(*shape),), properties, id, "a remainder or degenerate shape")
        for shape, id in SHAPES
    ]
    special = Sample(
        op_type, (given(SPECIAL),), properties, "special", "NaN, inf, zeros", smooth=False
    )
    return [*table, special]


def whole_numbers(op_type, **properties) -> Sample:
    operand = integers(-9, 9, 2, 5, dtype="i32")
    return Sample(op_type, (operand,), properties, "i32", "integers", smooth=False)


def renamed(samples: list[Sample], suffix: str) -> list[Sample]:
    return [
        Sample(s.op_type, s.operands, s.properties, f"{suffix}-{s.id}", s.reason, smooth=s.smooth)
        for s in samples
    ]


FLOAT_UNARY = (e.ExpOp, e.TanhOp, e.SigmoidOp, e.ErfOp, e.SiluOp)
WHOLE_UNARY = (e.NegOp, e.SquareOp)
KINKED_UNARY = (e.AbsOp, e.ReluOp)
POSITIVE_UNARY = (e.LogOp, e.SqrtOp, e.RsqrtOp, e.ReciprocalOp)

UNARY = [
    *(sample for op in FLOAT_UNARY for sample in unary(op)),
    *(sample for op in WHOLE_UNARY for sample in (*unary(op), whole_numbers(op))),
    *(sample for op in KINKED_UNARY for sample in (*unary(op, distinct), whole_numbers(op))),
    *(sample for op in POSITIVE_UNARY for sample in unary(op, positive)),
    *unary(e.HardSigmoidOp, distinct),
    *(replace(sample, smooth=False) for sample in unary(e.StopGradientOp)),
    *unary(e.HardSwishOp, distinct),
    *renamed(unary(e.GeluOp, approximation="none"), "erf"),
    *renamed(unary(e.GeluOp, approximation="tanh"), "tanh"),
    *renamed(unary(e.ClampOp, distinct, min=-1.0, max=0.5), "both"),
    *renamed(unary(e.ClampOp, distinct, min=-INF, max=6.0), "upper"),
    *renamed(unary(e.ClampOp, distinct, min=1.0, max=-1.0), "crossed"),
]

POWERS = (
    (1.0, "one", "x itself"),
    (3.0, "cube", "an odd product"),
    (-2.0, "inverse-square", "a reciprocal product"),
    (2.5, "half", "a product with a square root"),
    (-0.5, "rsqrt", "only a square root, inverted"),
    (0.3, "general", "exp and log"),
    (13.0, "long", "repeated squaring with 1101 in binary"),
)
POWER = [
    sample
    for exponent, id, reason in POWERS
    for sample in (
        Sample(e.PowerOp, (positive(3, 17),), {"exponent": exponent}, id, reason),
        Sample(
            e.PowerOp,
            (given([0.0, 1.0, 4.0, INF, NAN]),),
            {"exponent": exponent},
            f"{id}-special",
            "bounds of the domain",
            smooth=False,
        ),
    )
]


def binary(op_type, id: str, reason: str, *operands: Operand, smooth=True, **properties) -> Sample:
    return Sample(op_type, operands, properties, id, reason, smooth=smooth)


SPECIAL_LEFT = [NAN, NAN, 1.0, INF, INF, -INF, 0.0, -0.0, 0.0, 2.0]
SPECIAL_RIGHT = [NAN, 1.0, NAN, INF, -INF, -INF, -0.0, 0.0, 0.0, 2.0]
ARITHMETIC = (e.AddOp, e.SubOp, e.MulOp, e.DivOp, e.MaximumOp, e.MinimumOp)
WHOLE_ARITHMETIC = (e.AddOp, e.SubOp, e.MulOp, e.MaximumOp, e.MinimumOp)

BINARY = [
    *(binary(op, "prime", "a remainder", normal(3, 17), positive(3, 17)) for op in ARITHMETIC),
    *(binary(op, "scalar", "rank 0", normal(), positive()) for op in ARITHMETIC),
    *(
        binary(
            op,
            "special",
            "NaN, inf, zeros",
            given(SPECIAL_LEFT),
            given(SPECIAL_RIGHT),
            smooth=False,
        )
        for op in ARITHMETIC
    ),
    *(
        binary(
            op,
            "i64",
            "integers",
            integers(-9, 9, 7),
            integers(-9, 9, 7),
            smooth=False,
        )
        for op in WHOLE_ARITHMETIC
    ),
]

COMPARE = [
    sample
    for predicate in e.PREDICATES
    for sample in (
        binary(
            e.CompareOp,
            predicate,
            "ties, NaN and both zeros",
            given(SPECIAL_LEFT),
            given(SPECIAL_RIGHT),
            predicate=predicate,
        ),
        binary(
            e.CompareOp,
            f"{predicate}-i32",
            "integers with ties",
            integers(0, 3, 3, 5, dtype="i32"),
            integers(0, 3, 3, 5, dtype="i32"),
            predicate=predicate,
        ),
    )
]

LOGIC = [
    binary(e.LogicalAndOp, "all", "all four cases", booleans(3, 7), booleans(3, 7)),
    binary(e.LogicalOrOp, "all", "all four cases", booleans(3, 7), booleans(3, 7)),
    binary(e.LogicalNotOp, "all", "both cases", booleans(3, 7)),
    binary(e.SelectOp, "f32", "floats", booleans(3, 7), normal(3, 7), normal(3, 7)),
    binary(e.SelectOp, "i1", "conditions", booleans(9), booleans(9), booleans(9)),
    binary(
        e.SelectOp,
        "nan",
        "the NaN that is not chosen does not count",
        given([True, False, True, False], "i1"),
        given([NAN, NAN, 1.0, 1.0]),
        given([2.0, 2.0, NAN, NAN]),
        smooth=False,
    ),
]


def cast(source: Operand, to: str) -> Sample:
    smooth = source.dtype == "f32" and to == "f64"
    return binary(e.CastOp, f"{source.dtype}-{to}", "a pair of kinds", source, smooth=smooth, to=to)


CAST = [
    cast(normal(3, 7), "f64"),
    cast(given([0.1, 1.5, -2.5, 1e5, 3.14159]), "f16"),
    cast(given([0.1, 1.5, -2.5, 1e5, 3.14159]), "bf16"),
    cast(given([-1.9, -0.5, 0.0, 0.5, 1.9, 100.7]), "i32"),
    cast(given([0.0, -0.0, 0.1, -5.0, NAN]), "i1"),
    cast(integers(-1000, 1000, 9, dtype="i32"), "f32"),
    cast(integers(-1000, 1000, 9, dtype="i64"), "i8"),
    cast(integers(-9, 9, 3, 5, dtype="i8"), "i64"),
    cast(booleans(3, 5), "f32"),
]

SAMPLES = [*UNARY, *POWER, *BINARY, *COMPARE, *LOGIC, *CAST]
