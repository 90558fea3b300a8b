"""Refusals of pooling."""

from negatives.negative import table
from pock_ir.dialects import pool

POOL = {
    "kernel": [2, 2],
    "strides": [2, 2],
    "pad_low": [0, 0],
    "pad_high": [0, 0],
    "layout": "nchw",
}

NEGATIVES = [
    *table(
        pool.MaxPool2dOp,
        ["2x3x4x4xf32"],
        {**POOL, "dilation": [1, 1]},
        ({0: "3x4x4xf32"}, {}, "x should have rank 4, not 3"),
        ({}, {"kernel": [0, 2]}, "kernel should be at least 1, not [0, 2]"),
        ({}, {"kernel": [2]}, "kernel should have 2 values, not 1"),
        ({}, {"strides": [0, 0]}, "strides should be at least 1, not [0, 0]"),
        ({}, {"dilation": [0, 1]}, "dilation should be at least 1, not [0, 1]"),
        ({}, {"pad_low": [2, 0]}, "pad_low (2, 0) should be smaller than the window (2, 2)"),
        ({}, {"pad_high": [0, 2]}, "pad_high (0, 2) should be smaller than the window (2, 2)"),
        (
            {},
            {"kernel": [5, 5]},
            "no window of (5, 5) fits the input of (4, 4) with padding (0, 0) and (0, 0)",
        ),
        ({}, {"layout": "hwc"}, "layout should be one of nchw, nhwc, not 'hwc'"),
        ({0: "2x3x4x4xi32"}, {}, "x should have float elements, not i32"),
    ),
    *table(
        pool.MaxPool2dGradOp,
        ["2x3x4x4xf32", "2x3x2x2xf32"],
        {**POOL, "dilation": [1, 1]},
        ({1: "2x3x2x3xf32"}, {}, "dy should have shape [2, 3, 2, 2], not [2, 3, 2, 3]"),
        ({1: "2x3x2x2xf64"}, {}, "dy has f64 elements, but x has f32"),
    ),
    *table(
        pool.AvgPool2dOp,
        ["2x3x4x4xf32"],
        {**POOL, "count_include_pad": True},
        ({}, {"pad_low": [0, 3]}, "pad_low (0, 3) should be smaller than the window (2, 2)"),
    ),
    *table(
        pool.AvgPool2dGradOp,
        ["2x3x2x2xf32"],
        {**POOL, "count_include_pad": True, "input_shape": [2, 3, 4, 4]},
        ({}, {"input_shape": [2, 3, 8, 8]}, "dy should have shape [2, 3, 4, 4], not [2, 3, 2, 2]"),
        ({}, {"input_shape": [2, 3]}, "input_shape should have 4 values, not 2"),
    ),
]
