"""Refusals of normalisation by the root mean square."""

from negatives.negative import table
from pock_ir.dialects import rms_norm

C = "3xf32"

NEGATIVES = [
    *table(
        rms_norm.RmsNormOp,
        ["2x3xf32", C],
        {"axis": 1, "eps": 1e-5},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({}, {"axis": 0}, "gamma should be tensor<2x3xf32>, not tensor<3xf32>"),
        ({}, {"eps": -1.0}, "eps should be at least 0.0, not -1.0"),
    ),
    *table(
        rms_norm.RmsNormGradInputOp,
        ["2x3xf32", "2x3xf32", "2xf32", C],
        {"axis": 1},
        ({2: "3xf32"}, {}, "rstd should be tensor<2xf32>, not tensor<3xf32>"),
        ({3: "2xf32"}, {}, "gamma should be tensor<3xf32>, not tensor<2xf32>"),
    ),
    *table(
        rms_norm.RmsNormGradWeightOp,
        ["2x3xf32", "2x3xf32", "2xf32"],
        {"axis": 1},
        ({0: "3x2xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<3x2xf32>"),
    ),
]
