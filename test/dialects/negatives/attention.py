"""Refusals of attention."""

from negatives.negative import INF, table
from pock_ir.dialects import attention

ATTENTION = {
    "layout": "bhtd",
    "scale": 0.5,
    "causal": False,
    "mask": "none",
    "masked_rows": "zero",
    "dropout": 0.0,
    "stream": 0,
}
Q, K, V = "2x3x5x4xf32", "2x3x7x4xf32", "2x3x7x6xf32"
MASKED = [Q, K, V, "2x1x1x7xi1"]

NEGATIVES = [
    *table(
        attention.AttentionOp,
        [Q, K, V],
        ATTENTION,
        ({0: "3x5x4xf32"}, {}, "q should have rank 4, not 3"),
        ({1: "2x1x7x4xf32"}, {}, "k has batch and heads [2, 1], but q has [2, 3]"),
        ({2: "1x3x7x6xf32"}, {}, "v has batch and heads [1, 3], but q has [2, 3]"),
        ({1: "2x3x7x5xf32"}, {}, "k has depth 5, but q has 4"),
        ({2: "2x3x8x6xf32"}, {}, "v has 8 keys, but k has 7"),
        ([Q, "2x3x0x4xf32", "2x3x0x6xf32"], {}, "k should have at least one key"),
        ({2: "2x3x7x6xf64"}, {}, "v has f64 elements, but q has f32"),
        ({}, {"layout": "bhdt"}, "layout should be one of bhtd, bthd, not 'bhdt'"),
        ({}, {"layout": "bthd"}, "k has batch and heads [2, 7], but q has [2, 5]"),
        ({}, {"scale": INF}, "scale should be finite, not inf"),
        ({}, {"mask": "float"}, "mask should be one of none, boolean, additive, not 'float'"),
        (
            {},
            {"masked_rows": "one"},
            "masked_rows should be one of zero, uniform, nan, not 'one'",
        ),
        (
            [Q, K, V, "2x1x1x7xf32"],
            {"mask": "additive", "masked_rows": "uniform"},
            'masked_rows "uniform" needs a condition as its mask, not an additive one',
        ),
        ({}, {"dropout": 1.0}, "dropout should be in [0.0, 1.0), not 1.0"),
        ({}, {"stream": -1}, "stream should be in 0..2^32-1, not -1"),
        (
            MASKED,
            {},
            'mask "none" and dropout 0.0 need 0 operands after the others, not 1',
        ),
        (
            [Q, K, V],
            {"mask": "boolean"},
            'mask "boolean" and dropout 0.0 need 1 operands after the others, not 0',
        ),
        (
            MASKED,
            {"mask": "boolean", "dropout": 0.5},
            'mask "boolean" and dropout 0.5 need 3 operands after the others, not 1',
        ),
        (MASKED, {"mask": "additive"}, "mask should have float elements, not i1"),
        (
            [Q, K, V, "2x1x1x7xf64"],
            {"mask": "additive"},
            "mask has f64 elements, but q has f32",
        ),
        (
            [Q, K, V, "2x1x1x1xi1"],
            {"mask": "boolean"},
            "mask of shape [2, 1, 1, 1] does not fit scores of shape [2, 3, 5, 7]",
        ),
        ([Q, K, V, "5x7xi1"], {"mask": "boolean"}, "mask should have rank 4, not 2"),
        (
            [Q, K, V, "i64", "i32"],
            {"dropout": 0.5},
            "seed should be tensor<i32>, not tensor<i64>",
        ),
    ),
    *table(
        attention.AttentionGradOp,
        ["2x3x5x6xf32", Q, K, V, "2x3x5x6xf32", "2x3x5xf32"],
        ATTENTION,
        ({4: Q}, {}, "out should be tensor<2x3x5x6xf32>, not tensor<2x3x5x4xf32>"),
        ({0: Q}, {}, "dout should be tensor<2x3x5x6xf32>, not tensor<2x3x5x4xf32>"),
        ({5: "2x3x7xf32"}, {}, "log_normalizer should be tensor<2x3x5xf32>, not tensor<2x3x7xf32>"),
    ),
]
