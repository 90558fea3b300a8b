"""Refusals of resizing."""

from negatives.negative import table
from pock_ir.dialects import resize

NEGATIVES = [
    *table(
        resize.ResizeOp,
        ["2x4xf32"],
        {"axis": 1, "size": 8, "method": "linear", "coordinates": "half_pixel"},
        ({}, {"method": "cubic"}, "method should be one of nearest, linear, not 'cubic'"),
        ({}, {"size": 0}, "4 elements cannot become 0"),
        ({0: "2x4xi32"}, {}, "operand 0 should have float elements, not i32"),
        (
            {},
            {"method": "nearest", "coordinates": "align_corners"},
            "nearest has no align_corners",
        ),
    ),
    *table(
        resize.ResizeGradOp,
        ["2x8xf32"],
        {"axis": 1, "size": 4, "method": "linear", "coordinates": "half_pixel"},
        ({}, {"size": -1}, "-1 elements cannot become 8"),
    ),
]
