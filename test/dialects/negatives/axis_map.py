"""Refusals of reversals."""

from negatives.negative import table
from pock_ir.dialects import axis_map

NEGATIVES = [
    *table(
        axis_map.ReverseOp,
        ["4xf32"],
        {"axis": 0},
        ({}, {"axis": 1}, "axis 1 is out of range for rank 1"),
    ),
]
