"""Refusals of elementwise ops."""

from negatives.negative import INF, NAN, table
from pock_ir.dialects import elementwise

NEGATIVES = [
    *table(
        elementwise.ReluOp,
        ["4xf32"],
        {},
        (["4xi1"], {}, "operand 0 should have number elements, not i1"),
        (["?xf32"], {}, "operand 0 should have a static shape, not tensor<?xf32>"),
    ),
    *table(
        elementwise.ExpOp,
        ["4xf32"],
        {},
        (["4xi32"], {}, "operand 0 should have float elements, not i32"),
    ),
    *table(
        elementwise.AddOp,
        ["4xf32", "4xf32"],
        {},
        ({1: "1xf32"}, {}, "operand 1 should be tensor<4xf32>, not tensor<1xf32>"),
        ({1: "f32"}, {}, "operand 1 should be tensor<4xf32>, not tensor<f32>"),
        ({1: "4xf64"}, {}, "operand 1 should be tensor<4xf32>, not tensor<4xf64>"),
        (["4xi1", "4xi1"], {}, "operand 0 should have number elements, not i1"),
    ),
    *table(
        elementwise.DivOp,
        ["4xf32", "4xf32"],
        {},
        (["4xi32", "4xi32"], {}, "operand 0 should have float elements, not i32"),
    ),
    *table(
        elementwise.LogicalAndOp,
        ["4xi1", "4xi1"],
        {},
        (["4xf32", "4xf32"], {}, "operand 0 should have i1 elements, not f32"),
    ),
    *table(
        elementwise.GeluOp,
        ["4xf32"],
        {},
        ({}, {"approximation": "erf"}, "approximation should be one of none, tanh, not 'erf'"),
    ),
    *table(
        elementwise.ClampOp,
        ["4xf32"],
        {"min": 0.0, "max": 1.0},
        ({}, {"min": NAN}, "min should not be NaN"),
        ({}, {"max": 1e39}, "max 1e+39 does not fit f32"),
        (["4xf16"], {"max": 65505.0}, "max 65505.0 does not fit f16"),
    ),
    *table(
        elementwise.PowerOp,
        ["4xf32"],
        {},
        ({}, {"exponent": 0.0}, "exponent should be nonzero and at most 1024, not 0.0"),
        ({}, {"exponent": 1025.0}, "exponent should be nonzero and at most 1024, not 1025.0"),
        ({}, {"exponent": NAN}, "exponent should be nonzero and at most 1024, not nan"),
        ({}, {"exponent": -INF}, "exponent should be nonzero and at most 1024, not -inf"),
    ),
    *table(
        elementwise.CompareOp,
        ["4xf32", "4xf32"],
        {},
        ({}, {"predicate": "<"}, "predicate should be one of lt, le, gt, ge, eq, ne, not '<'"),
    ),
    *table(
        elementwise.SelectOp,
        ["4xi1", "4xf32", "4xf32"],
        {},
        ({0: "4xf32"}, {}, "cond should have i1 elements, not f32"),
        ({0: "2xi1"}, {}, "cond should be tensor<4xi1>, not tensor<2xi1>"),
        ({2: "4xf64"}, {}, "b should be tensor<4xf32>, not tensor<4xf64>"),
    ),
    *table(
        elementwise.CastOp,
        ["4xf32"],
        {},
        (
            {},
            {"to": "i4"},
            "to should be one of f16, bf16, f32, f64, i1, i8, i16, i32, i64, not 'i4'",
        ),
    ),
]
