"""Refusals of reductions."""

from negatives.negative import table
from pock_ir.dialects import reduce

NEGATIVES = [
    *table(
        reduce.SumOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({}, {"axes": [2]}, "axes: 2 is out of range for rank 2"),
        ({}, {"axes": [-1]}, "axes: -1 is out of range for rank 2"),
        ({}, {"axes": [1, 0]}, "axes should be distinct and ascending, not [1, 0]"),
        ({}, {"axes": [0, 0]}, "axes should be distinct and ascending, not [0, 0]"),
        ({0: "2x3xi1"}, {}, "x should have number elements, not i1"),
    ),
    *table(
        reduce.MeanOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "2x3xi32"}, {}, "x should have float elements, not i32"),
        ({0: "0x3xf32"}, {}, "there is nothing to take the mean of"),
    ),
    *table(
        reduce.MaxOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "0x3xf32"}, {}, "there is nothing to take the maximum of"),
    ),
    *table(
        reduce.MinOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "0x3xf32"}, {}, "there is nothing to take the minimum of"),
    ),
    *table(
        reduce.ArgMaxOp,
        ["2x3xf32"],
        {"axis": 0, "index": "i64"},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({}, {"index": "i8"}, "index should be one of i32, i64, not 'i8'"),
        ({0: "0x3xf32"}, {}, "there is nothing to compare"),
        ({0: "2x3xi1"}, {}, "x should have number elements, not i1"),
    ),
]
