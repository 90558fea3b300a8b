"""Refusals of integer division, remainders and bits."""

from negatives.negative import table
from pock_ir.dialects import division

NEGATIVES = [
    *table(
        division.IntegerDivOp,
        ["4xi32", "4xi32"],
        {"rounding": "floor"},
        ({}, {"rounding": "up"}, "rounding should be one of floor, trunc, not 'up'"),
        (["4xf32", "4xf32"], {}, "operand 0 should have integer elements, not f32"),
    ),
    *table(
        division.BitwiseOp,
        ["4xi32", "4xi32"],
        {"operation": "and"},
        ({}, {"operation": "nor"}, "operation should be one of and, or, xor, not 'nor'"),
        (["4xf32", "4xf32"], {}, "operand 0 should have integer elements, not f32"),
    ),
]
