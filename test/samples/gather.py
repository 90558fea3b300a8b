"""Samples of elements chosen by index."""

from pock_ir.dialects import gather as g
from samples.sample import Operand, Sample, given, integers, normal

NAN = float("nan")


def gathers(id, reason, shape, axis, ids: Operand, mode="clip", fill=0.0) -> list[Sample]:
    properties = {"axis": axis, "out_of_range": mode}
    dy = normal(*shape[:axis], *ids.shape, *shape[axis + 1 :])
    size = {"size": shape[axis]}
    return [
        Sample(g.GatherOp, (normal(*shape), ids), {**properties, "fill": fill}, id, reason),
        Sample(g.ScatterAddOp, (ids, dy), {**properties, **size}, id, reason),
    ]


def takes(id, reason, shape, axis, ids: Operand, mode="clip", fill=0.0) -> list[Sample]:
    properties = {"axis": axis, "out_of_range": mode}
    size = {"size": shape[axis]}
    return [
        Sample(g.TakeAlongAxisOp, (normal(*shape), ids), {**properties, "fill": fill}, id, reason),
        Sample(
            g.TakeAlongAxisGradOp, (ids, normal(*ids.shape)), {**properties, **size}, id, reason
        ),
    ]


OUTSIDE = given([-1, 0, 7, 2, -9, 3], "i64")

SAMPLES = [
    *gathers("middle", "slices of two elements", (3, 5, 2), 1, integers(0, 5, 4)),
    *gathers("last", "single elements", (3, 5), 1, integers(0, 5, 2, 3, dtype="i32")),
    *gathers("first", "repeated rows", (4, 17), 0, given([1, 1, 0, 1], "i64")),
    *gathers("scalar", "one index", (4, 3), 0, given(2, "i64")),
    *gathers("clip", "outside", (4, 3), 0, OUTSIDE),
    *gathers("check", "outside, where a program computes it", (4, 3), 0, OUTSIDE, "check"),
    *gathers("wrap", "outside", (2, 4, 3), 1, OUTSIDE, "wrap"),
    *gathers("fill", "outside", (2, 4, 3), 1, OUTSIDE, "fill", 0.5),
    *gathers("fill-last", "outside, single elements", (2, 4), 1, OUTSIDE, "fill", -1.0),
    Sample(
        g.GatherOp,
        (integers(0, 9, 4, 3, dtype="i32"), OUTSIDE),
        {"axis": 0, "out_of_range": "fill", "fill": -(2.0**31)},
        "i32",
        "integers",
    ),
    Sample(
        g.GatherOp,
        (normal(4, 3), OUTSIDE),
        {"axis": 0, "out_of_range": "fill", "fill": NAN},
        "nan",
        "as JAX does",
        smooth=False,
    ),
    *takes("last", "as many as there are", (3, 5), 1, integers(0, 5, 3, 5)),
    *takes("middle", "fewer", (2, 5, 3), 1, integers(0, 5, 2, 4, 3, dtype="i32")),
    *takes("first", "more", (3, 4), 0, integers(0, 3, 7, 4)),
    *takes("clip", "outside", (2, 4), 1, integers(-9, 9, 2, 5)),
    *takes("wrap", "outside", (2, 4), 1, integers(-9, 9, 2, 5), "wrap"),
    *takes("fill", "outside", (2, 4, 3), 1, integers(-2, 6, 2, 5, 3), "fill", 2.0),
]
