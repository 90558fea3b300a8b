"""Refusals of softmax."""

from negatives.negative import table
from pock_ir.dialects import softmax

NEGATIVES = [
    *table(
        softmax.SoftmaxOp,
        ["2x3xf32"],
        {"axis": 1},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({0: "2x0xf32"}, {}, "x has no elements along axis 1"),
        ({0: "2x3xi32"}, {}, "x should have float elements, not i32"),
    ),
    *table(
        softmax.SoftmaxGradOp,
        ["2x3xf32", "2x3xf32"],
        {"axis": 1},
        ({1: "2x1xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<2x1xf32>"),
        ({}, {"axis": -1}, "axis -1 is out of range for rank 2"),
    ),
]
