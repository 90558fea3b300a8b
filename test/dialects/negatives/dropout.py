"""Refusals of dropout."""

from negatives.negative import NAN, table
from pock_ir.dialects import dropout

NEGATIVES = [
    *table(
        dropout.DropoutOp,
        ["4xf32", "i32", "i32"],
        {"p": 0.5, "stream": 0},
        ({0: "4xi32"}, {}, "x should have float elements, not i32"),
        ({1: "1xi32"}, {}, "seed should be tensor<i32>, not tensor<1xi32>"),
        ({2: "i64"}, {}, "step should be tensor<i32>, not tensor<i64>"),
        ({}, {"p": 1.0}, "p should be in [0.0, 1.0), not 1.0"),
        ({}, {"p": -0.1}, "p should be in [0.0, 1.0), not -0.1"),
        ({}, {"p": NAN}, "p should be in [0.0, 1.0), not nan"),
        ({}, {"stream": 2**32}, "stream should be in 0..2^32-1, not 4294967296"),
        (
            {0: "65536x65537xf32"},
            {},
            "dropout reaches 2^32 elements at most, not 4295032832",
        ),
    ),
]
