"""Refusals of running sums."""

from negatives.negative import table
from pock_ir.dialects import scan

NEGATIVES = [
    *table(
        scan.CumSumOp,
        ["2x4xf32"],
        {"axis": 1, "exclusive": False, "reverse": False},
        ({}, {"axis": -1}, "axis -1 is out of range for rank 2"),
        ({0: "2x4xi1"}, {}, "x should have number elements, not i1"),
    ),
]
