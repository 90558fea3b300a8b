"""Samples of ops that map one axis: reversal, padding, resizing, running sums."""

from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.dialects.border_pad import BORDERS, BorderPadGradOp, BorderPadOp
from pock_ir.dialects.resize import COORDINATES, METHODS, ResizeGradOp, ResizeOp
from pock_ir.dialects.scan import CumSumOp
from pock_ir.types import shape_of
from samples.sample import Sample, booleans, integers, normal

REVERSE = [
    Sample(ReverseOp, (x,), {"axis": axis}, id, reason)
    for x, axis, id, reason in (
        (normal(3, 5), 1, "last", "element by element"),
        (normal(3, 5, 2), 0, "first", "slice by slice"),
        (normal(1), 0, "one", "nothing moves"),
        (integers(-9, 9, 2, 4), 1, "i64", "integers"),
        (booleans(5), 0, "i1", "conditions"),
    )
]


def with_gradient(op_type, gradient, x, properties, given, id, reason) -> list[Sample]:
    """A forward sample and one of its gradient; `given` are the gradient's own properties."""
    forward = Sample(op_type, (x,), properties, id, reason)
    dy = normal(*shape_of(forward.op().results[0]))
    return [forward, Sample(gradient, (dy,), {**properties, **given}, id, reason)]


BORDER = [
    sample
    for mode in BORDERS
    for shape, axis, low, high, place in (
        ((2, 5), 1, 3, 4, "last"),
        ((2, 4, 3), 1, 2, 0, "middle"),
        ((3, 17), 0, 0, 1, "first"),
    )
    for sample in with_gradient(
        BorderPadOp,
        BorderPadGradOp,
        normal(*shape),
        {"axis": axis, "low": low, "high": high, "mode": mode},
        {},
        f"{mode}-{place}",
        "uneven ends",
    )
]
INTEGER_BORDER = Sample(
    BorderPadOp,
    (integers(0, 9, 3),),
    {"axis": 0, "low": 1, "high": 2, "mode": "circular"},
    "i64",
    "integers",
)

KINDS = [
    (method, coordinates)
    for method in METHODS
    for coordinates in COORDINATES
    if (method, coordinates) != ("nearest", "align_corners")
]
RESIZE = [
    sample
    for method, coordinates in KINDS
    for shape, axis, size, place in (
        ((2, 5), 1, 10, "double"),
        ((2, 4, 3), 1, 7, "larger"),
        ((2, 9, 3), 1, 4, "smaller"),
        ((2, 3), 1, 1, "one"),
        ((1, 17), 0, 3, "repeated"),
    )
    for sample in with_gradient(
        ResizeOp,
        ResizeGradOp,
        normal(*shape),
        {"axis": axis, "size": size, "method": method, "coordinates": coordinates},
        {"size": shape[axis]},
        f"{method}-{coordinates}-{place}",
        "all ratios",
    )
]

CUMSUM = [
    Sample(CumSumOp, (x,), {"axis": axis, "exclusive": e, "reverse": r}, id, reason)
    for x, axis, e, r, id, reason in (
        (normal(3, 17), 1, False, False, "last", "along lines"),
        (normal(4, 17), 0, False, True, "reverse", "from the end, side by side"),
        (normal(2, 5, 3), 1, True, False, "exclusive", "without the element itself"),
        (normal(2, 5), 1, True, True, "both", "reverse and exclusive"),
        (integers(-(2**31), 2**31, 3, 4, dtype="i32"), 1, False, False, "i32", "integers wrap"),
        (integers(-9, 9, 5), 0, True, True, "i64", "integers"),
        (normal(1), 0, True, False, "one", "0 alone"),
    )
]

SAMPLES = [*REVERSE, *BORDER, INTEGER_BORDER, *RESIZE, *CUMSUM]
