"""Refusals of losses."""

from negatives.negative import NAN, table
from pock_ir.dialects import loss

ENTROPY = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}

NEGATIVES = [
    *table(
        loss.CrossEntropyOp,
        ["4x3xf32", "4xi64"],
        ENTROPY,
        ({0: "4xf32"}, {}, "logits should have rank 2, not 1"),
        ({0: "4x0xf32"}, {}, "logits should have at least one class"),
        ({1: "3xi64"}, {}, "labels should have shape [4], not [3]"),
        ({1: "4x1xi64"}, {}, "labels should have rank 1, not 2"),
        ({1: "4xf32"}, {}, "labels should have index elements, not f32"),
        ({1: "4xi8"}, {}, "labels should have index elements, not i8"),
        ({}, {"reduction": "none"}, "reduction should be one of mean, sum, not 'none'"),
        ({}, {"label_smoothing": 1.5}, "label_smoothing should be in [0.0, 1.0], not 1.5"),
        ({}, {"label_smoothing": NAN}, "label_smoothing should be in [0.0, 1.0], not nan"),
    ),
    *table(
        loss.CrossEntropyGradOp,
        ["4x3xf32", "4xi64", "4xf32", "f32"],
        ENTROPY,
        ({2: "3xf32"}, {}, "log_normalizer should be tensor<4xf32>, not tensor<3xf32>"),
        ({3: "1xf32"}, {}, "dloss should be tensor<f32>, not tensor<1xf32>"),
        ({3: "f64"}, {}, "dloss should be tensor<f32>, not tensor<f64>"),
    ),
]
