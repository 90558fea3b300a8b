"""Refusals of layer normalisation."""

from negatives.negative import table
from pock_ir.dialects import layer_norm

C = "3xf32"
NEGATIVES = [
    *table(
        layer_norm.LayerNormOp,
        ["2x3xf32", C, C],
        {"axis": 1, "eps": 1e-5},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({}, {"axis": 0}, "gamma should be tensor<2x3xf32>, not tensor<3xf32>"),
        ({0: "2x0xf32"}, {}, "x has no elements to normalise over"),
        ({}, {"eps": -1.0}, "eps should be at least 0.0, not -1.0"),
    ),
    *table(
        layer_norm.LayerNormGradInputOp,
        ["2x3xf32", "2x3xf32", "2xf32", "2xf32", C],
        {"axis": 1},
        ({0: "3x2xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<3x2xf32>"),
        ({2: "3xf32"}, {}, "mean should be tensor<2xf32>, not tensor<3xf32>"),
        ({4: "2xf32"}, {}, "gamma should be tensor<3xf32>, not tensor<2xf32>"),
    ),
    *table(
        layer_norm.LayerNormGradParamsOp,
        ["2x3xf32", "2x3xf32", "2xf32", "2xf32"],
        {"axis": 1},
        ({3: "2x1xf32"}, {}, "rstd should be tensor<2xf32>, not tensor<2x1xf32>"),
    ),
]
