"""Refusals of convolutions."""

from negatives.negative import table
from pock_ir.dialects import conv

CONV = {
    "strides": [1, 1],
    "dilation": [1, 1],
    "pad_low": [0, 0],
    "pad_high": [0, 0],
    "groups": 1,
    "layout": "nchw",
    "weight_layout": "oihw",
}

NEGATIVES = [
    *table(
        conv.Conv2dOp,
        ["2x4x5x5xf32", "6x4x3x3xf32"],
        CONV,
        ({0: "4x5x5xf32"}, {}, "x should have rank 4, not 3"),
        ({1: "6x4x3xf32"}, {}, "w should have rank 4, not 3"),
        ({}, {"strides": [0, 1]}, "strides should be at least 1, not [0, 1]"),
        ({}, {"strides": [1]}, "strides should have 2 values, not 1"),
        ({}, {"dilation": [1, 0]}, "dilation should be at least 1, not [1, 0]"),
        ({}, {"pad_low": [-1, 0]}, "pad_low should be at least 0, not [-1, 0]"),
        ({}, {"pad_high": [0, 0, 0]}, "pad_high should have 2 values, not 3"),
        ({}, {"groups": 0}, "groups should be at least 1, not 0"),
        ({}, {"groups": -1}, "groups should be at least 1, not -1"),
        ({}, {"groups": 3}, "3 groups do not divide 4 input channels"),
        ({}, {"groups": 4}, "4 groups do not divide 6 output channels"),
        ({}, {"groups": 2}, "w takes 4 channels in each of 2 groups, but x has 4"),
        ({1: "6x3x3x3xf32"}, {}, "w takes 3 channels in each of 1 groups, but x has 4"),
        ({1: "6x4x0x3xf32"}, {}, "the kernel of w should not be empty: (0, 3)"),
        (
            {1: "6x4x6x3xf32"},
            {},
            "no window of (6, 3) fits the input of (5, 5) with padding (0, 0) and (0, 0)",
        ),
        (
            {},
            {"dilation": [1, 3]},
            "no window of (3, 7) fits the input of (5, 5) with padding (0, 0) and (0, 0)",
        ),
        ({}, {"layout": "chwn"}, "layout should be one of nchw, nhwc, not 'chwn'"),
        (
            {},
            {"weight_layout": "ohwi"},
            "weight_layout should be one of oihw, hwio, not 'ohwi'",
        ),
        ({1: "6x4x3x3xf64"}, {}, "w has f64 elements, but x has f32"),
        ({0: "2x4x5x5xi8"}, {}, "x should have float elements, not i8"),
    ),
    *table(
        conv.Conv2dGradInputOp,
        ["2x6x3x3xf32", "6x4x3x3xf32"],
        {**CONV, "input_shape": [2, 4, 5, 5]},
        ({}, {"input_shape": [2, 4, 5]}, "input_shape should have 4 values, not 3"),
        ({}, {"input_shape": [2, 4, -5, 5]}, "input_shape should be at least 0, not [2, 4, -5, 5]"),
        (
            {},
            {"input_shape": [2, 4, 6, 5]},
            "dy should have shape [2, 6, 4, 3], not [2, 6, 3, 3]",
        ),
        ({0: "6x3x3xf32"}, {}, "dy should have rank 4, not 3"),
        ({1: "6x4x3x3xf64"}, {}, "w has f64 elements, but dy has f32"),
    ),
    *table(
        conv.Conv2dGradWeightOp,
        ["2x4x5x5xf32", "2x6x3x3xf32"],
        {**CONV, "weight_shape": [6, 4, 3, 3]},
        ({}, {"weight_shape": [6, 4]}, "weight_shape should have 4 values, not 2"),
        (
            {},
            {"weight_shape": [7, 4, 3, 3]},
            "dy should have shape [2, 7, 3, 3], not [2, 6, 3, 3]",
        ),
        (
            {},
            {"weight_shape": [6, 5, 3, 3]},
            "w takes 5 channels in each of 1 groups, but x has 4",
        ),
        ({1: "2x6x3x3xf64"}, {}, "dy has f64 elements, but x has f32"),
    ),
]
