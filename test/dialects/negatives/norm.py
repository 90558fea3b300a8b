"""Refusals of batch normalisation."""

from negatives.negative import INF, NAN, table
from pock_ir.dialects import norm

C = "3xf32"

NEGATIVES = [
    *table(
        norm.BatchNormOp,
        ["2x3x5xf32", C, C],
        {"axis": 1, "eps": 1e-5},
        ({}, {"axis": 3}, "axis 3 is out of range for rank 3"),
        ({1: "5xf32"}, {}, "gamma should be tensor<3xf32>, not tensor<5xf32>"),
        ({2: "3xf64"}, {}, "beta should be tensor<3xf32>, not tensor<3xf64>"),
        ({}, {"eps": -1e-5}, "eps should be at least 0.0, not -1e-05"),
        ({}, {"eps": NAN}, "eps should be finite, not nan"),
        ({0: "0x3x5xf32"}, {}, "x has no elements to normalise"),
        ({0: "f32"}, {"axis": 0}, "axis 0 is out of range for rank 0"),
    ),
    *table(
        norm.BatchNormInferenceOp,
        ["2x3x5xf32", C, C, C, C],
        {"axis": 1, "eps": 1e-5},
        ({3: "3x1xf32"}, {}, "mean should be tensor<3xf32>, not tensor<3x1xf32>"),
        ({4: "2xf32"}, {}, "variance should be tensor<3xf32>, not tensor<2xf32>"),
        ({}, {"eps": INF}, "eps should be finite, not inf"),
    ),
    *table(
        norm.MomentsOp,
        ["2x3xf32"],
        {"axis": 1},
        ({}, {"axis": -1}, "axis -1 is out of range for rank 2"),
        ({0: "2x3xi32"}, {}, "x should have float elements, not i32"),
    ),
    *table(
        norm.BatchNormGradSumsOp,
        ["2x3xf32", "2x3xf32", C],
        {"axis": 1},
        ({0: "2x4xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<2x4xf32>"),
        ({2: "2xf32"}, {}, "mean should be tensor<3xf32>, not tensor<2xf32>"),
    ),
]
