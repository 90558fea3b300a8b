"""Refusals of ops that index at run time."""

from negatives.negative import NAN, table
from pock_ir.dialects import gather

NEGATIVES = [
    *table(
        gather.GatherOp,
        ["2x4xf32", "3xi64"],
        {"axis": 1, "out_of_range": "clip", "fill": 0.0},
        (
            {},
            {"out_of_range": "drop"},
            "out_of_range should be one of check, clip, fill, wrap, not 'drop'",
        ),
        ({1: "3xi8"}, {}, "ids should have index elements, not i8"),
        ({0: "2x0xf32"}, {}, "there is nothing to index"),
        ({0: "2x4xi32"}, {"fill": NAN}, "fill nan does not fit i32"),
    ),
    *table(
        gather.TakeAlongAxisOp,
        ["2x4xf32", "2x3xi64"],
        {"axis": 1, "out_of_range": "clip", "fill": 0.0},
        ({1: "1x3xi64"}, {}, "ids of shape [1, 3] should be like [2, 4] but for 1"),
        ({1: "3xi64"}, {}, "ids should have rank 2, not 1"),
    ),
    *table(
        gather.ScatterAddOp,
        ["3xi64", "2x3xf32"],
        {"axis": 1, "size": 4, "out_of_range": "clip"},
        ({1: "2x4xf32"}, {}, "values of shape [2, 4] have no ids of shape [3] at axis 1"),
        ({}, {"axis": 2}, "values of shape [2, 3] have no ids of shape [3] at axis 2"),
        ({}, {"size": 0}, "there is nothing to index"),
    ),
    *table(
        gather.TakeAlongAxisGradOp,
        ["2x3xi64", "2x3xf32"],
        {"axis": 1, "size": 4, "out_of_range": "clip"},
        ({1: "2x4xf32"}, {}, "values of shape [2, 4] should be like ids of shape [2, 3]"),
    ),
]
