"""Refusals of matrix products."""

from negatives.negative import table
from pock_ir.dialects import matmul

NEGATIVES = [
    *table(
        matmul.MatMulOp,
        ["2x3x4xf32", "2x4x5xf32"],
        {"transpose_lhs": False, "transpose_rhs": False},
        ({0: "4xf32"}, {}, "lhs should have rank 2 or more, not 1"),
        ({1: "f32"}, {}, "rhs should have rank 2 or more, not 0"),
        ({1: "1x4x5xf32"}, {}, "lhs has batch dims [2], but rhs has [1]"),
        ({1: "4x5xf32"}, {}, "lhs has batch dims [2], but rhs has []"),
        ({}, {"transpose_rhs": True}, "lhs contracts 4 elements, but rhs contracts 5"),
        ({1: "2x4x5xf64"}, {}, "rhs has f64 elements, but lhs has f32"),
        ({0: "2x3x4xi32"}, {}, "lhs should have float elements, not i32"),
    ),
    *table(
        matmul.LinearOp,
        ["2x3xf32", "4x3xf32"],
        {"weight_layout": "oi"},
        ({0: "f32"}, {}, "x should have rank 1 or more, not 0"),
        ({1: "3xf32"}, {}, "w should have rank 2, not 1"),
        ({}, {"weight_layout": "io"}, "x has 3 features, but w takes 4"),
        ({}, {"weight_layout": "ab"}, "weight_layout should be one of oi, io, not 'ab'"),
        ({1: "4x3xf16"}, {}, "w has f16 elements, but x has f32"),
    ),
    *table(
        matmul.LinearGradWeightOp,
        ["2x3xf32", "2x4xf32"],
        {"weight_layout": "oi"},
        ({0: "f32"}, {}, "x should have rank 1 or more, not 0"),
        ({1: "5x4xf32"}, {}, "dy of shape [5, 4] does not fit x of shape [2, 3]"),
        ({1: "4xf32"}, {}, "dy of shape [4] does not fit x of shape [2, 3]"),
        ({}, {"weight_layout": ""}, "weight_layout should be one of oi, io, not ''"),
    ),
]
