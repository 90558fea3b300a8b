"""Refusals of ops that make and move elements."""

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, f32, i32

from negatives.negative import NAN, T, table
from pock_ir.dialects import shape

VECTOR = T("4xf32")

NEGATIVES = [
    *table(
        shape.ConstantOp,
        [],
        {"type": VECTOR, "value": 1.0},
        ({}, {"value": 1}, "value of f32 elements should be f64 or f32, not i64"),
        ({}, {"value": 1e39}, "value 1e+39 does not fit f32"),
        ({}, {"type": T("4xi8"), "value": 128}, "value 128 does not fit i8"),
        ({}, {"type": T("4xi1"), "value": 2}, "value 2 does not fit i1"),
        (
            {},
            {"type": T("4xi64"), "value": IntegerAttr(1, i32)},
            "value of i64 elements should be i64 or i64, not i32",
        ),
        (
            {},
            {"type": T("4xf64"), "value": FloatAttr(1.0, f32)},
            "value of f64 elements should be f64 or f64, not f32",
        ),
        ({}, {"type": T("?xf32")}, "type should have a static shape, not tensor<?xf32>"),
    ),
    *table(
        shape.IotaOp,
        [],
        {"axis": 0, "type": T("4xi32")},
        ({}, {"axis": 1}, "axis 1 is out of range for rank 1"),
        ({}, {"axis": -1}, "axis -1 is out of range for rank 1"),
        ({}, {"type": T("i32")}, "axis 0 is out of range for rank 0"),
        ({}, {"type": T("4xi1")}, "type should have number elements, not i1"),
        ({}, {"type": T("129xi8")}, "index 128 is not exact in i8"),
        ({}, {"type": T("2050xf16")}, "index 2049 is not exact in f16"),
    ),
    *table(
        shape.BroadcastOp,
        ["3xf32"],
        {"shape": [2, 3], "axes": [1]},
        ({}, {"axes": []}, "axes should name 1 axes, not 0"),
        ({}, {"axes": [0]}, "axes pick shape [2], but x has [3]"),
        ({}, {"axes": [2]}, "axes: 2 is out of range for rank 2"),
        ({}, {"shape": [-1, 3]}, "shape may not be negative: [-1, 3]"),
        ({0: "1xf32"}, {}, "axes pick shape [3], but x has [1]"),
        (["3x2xf32"], {"axes": [1, 0]}, "axes should be distinct and ascending, not [1, 0]"),
        (["3x3xf32"], {"axes": [1, 1]}, "axes should be distinct and ascending, not [1, 1]"),
    ),
    *table(
        shape.ReshapeOp,
        ["2x3xf32"],
        {},
        ({}, {"shape": [4]}, "x has 6 elements, but shape [4] has 4"),
        ({}, {"shape": [-1]}, "shape may not be negative: [-1]"),
        ({}, {"shape": [-2, -3]}, "shape may not be negative: [-2, -3]"),
    ),
    *table(
        shape.TransposeOp,
        ["2x3xf32"],
        {},
        ({}, {"permutation": [0]}, "permutation should be one of 0..1, not [0]"),
        ({}, {"permutation": [0, 0]}, "permutation should be one of 0..1, not [0, 0]"),
        ({}, {"permutation": [0, 2]}, "permutation should be one of 0..1, not [0, 2]"),
        ({}, {"permutation": [-1, 0]}, "permutation should be one of 0..1, not [-1, 0]"),
    ),
    *table(
        shape.SliceOp,
        ["4x5xf32"],
        {"begin": [0, 0], "end": [4, 5], "stride": [1, 1]},
        ({}, {"begin": [0]}, "begin should have 2 values, not 1"),
        ({}, {"end": [4, 5, 6]}, "end should have 2 values, not 3"),
        ({}, {"stride": [1, 0]}, "stride should be at least 1, not [1, 0]"),
        ({}, {"stride": [1, -1]}, "stride should be at least 1, not [1, -1]"),
        ({}, {"begin": [-1, 0]}, "begin should be at least 0, not [-1, 0]"),
        ({}, {"end": [4, 6]}, "axis 1: 0:6 is no range of 5 elements"),
        ({}, {"begin": [2, 0], "end": [2, 5]}, "axis 0: 2:2 is no range of 4 elements"),
    ),
    *table(
        shape.PadOp,
        ["4xf32"],
        {"low": [0], "high": [0], "value": 0.0},
        ({}, {"low": [-1]}, "low should be at least 0, not [-1]"),
        ({}, {"high": [0, 0]}, "high should have 1 values, not 2"),
        ({0: "4xi32"}, {"value": 0.5}, "value 0.5 does not fit i32"),
        ({0: "4xi32"}, {"value": NAN}, "value nan does not fit i32"),
    ),
    *table(
        shape.ConcatOp,
        ["2x3xf32", "2x3xf32"],
        {"axis": 1},
        ([], {}, "needs at least one operand"),
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({1: "3x3xf32"}, {}, "operand 1 of shape [3, 3] does not continue [2, 3] along axis 1"),
        ({1: "2xf32"}, {}, "operand 1 of shape [2] does not continue [2, 3] along axis 1"),
        ({1: "2x3xf64"}, {}, "operand 1 has f64 elements, but operand 0 has f32"),
    ),
]
