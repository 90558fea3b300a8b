"""What every op refuses, with the exact message: one valid form per op and changes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import DYNAMIC_INDEX, FloatAttr, IntegerAttr, f32, i32
from xdsl.ir import Attribute

from pock_ir.dialects import (
    attention,
    axis_map,
    conv,
    division,
    dropout,
    elementwise,
    embedding,
    gather,
    loss,
    matmul,
    norm,
    optimizer,
    pool,
    recurrent,
    reduce,
    rms_norm,
    scan,
    shape,
    softmax,
)
from pock_ir.op import PockOp
from pock_ir.types import tensor

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Negative:
    """An op of class `op_type` on operands of `types` that is refused with `message`."""

    op_type: type[PockOp]
    types: tuple[Attribute, ...]
    properties: Mapping[str, Any]
    message: str

    def __str__(self) -> str:
        return f"{self.op_type.name}: {self.message}"


def T(text: str) -> Attribute:
    """T("2x3xf32") is tensor<2x3xf32>; ? is a dynamic dim."""
    *sizes, element = text.split("x")
    return tensor([DYNAMIC_INDEX if size == "?" else int(size) for size in sizes], element)


Row = tuple[Mapping[int, str] | Sequence[str], Mapping[str, Any], str]


def table(op_type, valid: Sequence[str], properties: Mapping[str, Any], *rows: Row):
    """Negatives that differ from the valid form in some operands and properties.

    A row is (changed operands by number, or all of them; changed properties; message).
    """
    return [
        Negative(op_type, _changed(valid, operands), {**properties, **changes}, message)
        for operands, changes, message in rows
    ]


def _changed(valid, operands) -> tuple[Attribute, ...]:
    if isinstance(operands, Mapping):
        operands = [operands.get(index, text) for index, text in enumerate(valid)]
    return tuple(map(T, operands))


ELEMENTWISE = [
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
        division.IntegerDivOp,
        ["4xi32", "4xi32"],
        {"rounding": "floor"},
        ({}, {"rounding": "up"}, "rounding should be one of floor, trunc, not 'up'"),
        (["4xf32", "4xf32"], {}, "operand 0 should have integer elements, not f32"),
    ),
    *table(
        division.BitwiseOp,
        ["4xi32", "4xi32"],
        {"operation": "and"},
        ({}, {"operation": "nor"}, "operation should be one of and, or, xor, not 'nor'"),
        (["4xf32", "4xf32"], {}, "operand 0 should have integer elements, not f32"),
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

VECTOR = T("4xf32")
SHAPE = [
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

REDUCE = [
    *table(
        reduce.SumOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({}, {"axes": [2]}, "axes: 2 is out of range for rank 2"),
        ({}, {"axes": [-1]}, "axes: -1 is out of range for rank 2"),
        ({}, {"axes": [1, 0]}, "axes should be distinct and ascending, not [1, 0]"),
        ({}, {"axes": [0, 0]}, "axes should be distinct and ascending, not [0, 0]"),
        ({0: "2x3xi1"}, {}, "x should have number elements, not i1"),
    ),
    *table(
        reduce.MeanOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "2x3xi32"}, {}, "x should have float elements, not i32"),
        ({0: "0x3xf32"}, {}, "there is nothing to take the mean of"),
    ),
    *table(
        reduce.MaxOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "0x3xf32"}, {}, "there is nothing to take the maximum of"),
    ),
    *table(
        reduce.MinOp,
        ["2x3xf32"],
        {"axes": [0]},
        ({0: "0x3xf32"}, {}, "there is nothing to take the minimum of"),
    ),
    *table(
        reduce.ArgMaxOp,
        ["2x3xf32"],
        {"axis": 0, "index": "i64"},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({}, {"index": "i8"}, "index should be one of i32, i64, not 'i8'"),
        ({0: "0x3xf32"}, {}, "there is nothing to compare"),
        ({0: "2x3xi1"}, {}, "x should have number elements, not i1"),
    ),
]

AXES = [
    *table(
        axis_map.ReverseOp,
        ["4xf32"],
        {"axis": 0},
        ({}, {"axis": 1}, "axis 1 is out of range for rank 1"),
    ),
    *table(
        axis_map.BorderPadOp,
        ["2x4xf32"],
        {"axis": 1, "low": 0, "high": 0, "mode": "reflect"},
        ({}, {"mode": "wrap"}, f"mode should be one of {', '.join(axis_map.BORDERS)}, not 'wrap'"),
        ({}, {"low": -1}, "low should be at least 0, not -1"),
        ({}, {"high": 4}, "high 4 is more than the 3 that reflect has for 4 elements"),
        (
            {},
            {"mode": "circular", "low": 5},
            "low 5 is more than the 4 that circular has for 4 elements",
        ),
        ({0: "2x0xf32"}, {}, "there is nothing to repeat"),
    ),
    *table(
        axis_map.BorderPadGradOp,
        ["2x4xf32"],
        {"axis": 1, "low": 0, "high": 0, "mode": "edge"},
        ({}, {"low": 4}, "there is nothing to repeat"),
        ({0: "2x4xi32"}, {}, "operand 0 should have float elements, not i32"),
    ),
    *table(
        axis_map.ResizeOp,
        ["2x4xf32"],
        {"axis": 1, "size": 8, "method": "linear", "coordinates": "half_pixel"},
        ({}, {"method": "cubic"}, "method should be one of nearest, linear, not 'cubic'"),
        ({}, {"size": 0}, "4 elements cannot become 0"),
        ({0: "2x4xi32"}, {}, "operand 0 should have float elements, not i32"),
        (
            {},
            {"method": "nearest", "coordinates": "align_corners"},
            "nearest has no align_corners",
        ),
    ),
    *table(
        axis_map.ResizeGradOp,
        ["2x8xf32"],
        {"axis": 1, "size": 4, "method": "linear", "coordinates": "half_pixel"},
        ({}, {"size": -1}, "-1 elements cannot become 8"),
    ),
    *table(
        scan.CumSumOp,
        ["2x4xf32"],
        {"axis": 1, "exclusive": False, "reverse": False},
        ({}, {"axis": -1}, "axis -1 is out of range for rank 2"),
        ({0: "2x4xi1"}, {}, "x should have number elements, not i1"),
    ),
    *table(
        gather.GatherOp,
        ["2x4xf32", "3xi64"],
        {"axis": 1, "out_of_range": "clip", "fill": 0.0},
        (
            {},
            {"out_of_range": "drop"},
            "out_of_range should be one of clip, fill, wrap, not 'drop'",
        ),
        ({1: "3xi8"}, {}, "ids should have index elements, not i8"),
        ({0: "2x0xf32"}, {}, "there is nothing to index"),
        ({0: "2x4xi32"}, {"fill": NAN}, "fill nan does not fit i32"),
    ),
    *table(
        gather.TakeAlongAxisOp,
        ["2x4xf32", "2x3xi64"],
        {"axis": 1, "out_of_range": "clip", "fill": 0.0},
        ({1: "1x3xi64"}, {}, "ids of shape [1, 3] should be like [2, 4] but for 1"),
        ({1: "3xi64"}, {}, "ids should have rank 2, not 1"),
    ),
    *table(
        gather.GatherGradOp,
        ["3xi64", "2x3xf32"],
        {"axis": 1, "size": 4, "out_of_range": "clip"},
        ({1: "2x4xf32"}, {}, "dy of shape [2, 4] has no ids of shape [3] at axis 1"),
        ({}, {"axis": 2}, "dy of shape [2, 3] has no ids of shape [3] at axis 2"),
        ({}, {"size": 0}, "there is nothing to index"),
    ),
    *table(
        gather.TakeAlongAxisGradOp,
        ["2x3xi64", "2x3xf32"],
        {"axis": 1, "size": 4, "out_of_range": "clip"},
        ({1: "2x4xf32"}, {}, "dy of shape [2, 4] should be like ids of shape [2, 3]"),
    ),
]

MATMUL = [
    *table(
        matmul.MatMulOp,
        ["2x3x4xf32", "2x4x5xf32"],
        {"transpose_lhs": False, "transpose_rhs": False},
        ({0: "4xf32"}, {}, "lhs should have rank 2 or more, not 1"),
        ({1: "f32"}, {}, "rhs should have rank 2 or more, not 0"),
        ({1: "1x4x5xf32"}, {}, "lhs has batch dims [2], but rhs has [1]"),
        ({1: "4x5xf32"}, {}, "lhs has batch dims [2], but rhs has []"),
        ({}, {"transpose_rhs": True}, "lhs contracts 4 elements, but rhs contracts 5"),
        ({1: "2x4x5xf64"}, {}, "rhs has f64 elements, but lhs has f32"),
        ({0: "2x3x4xi32"}, {}, "lhs should have float elements, not i32"),
    ),
    *table(
        matmul.LinearOp,
        ["2x3xf32", "4x3xf32"],
        {"weight_layout": "oi"},
        ({0: "f32"}, {}, "x should have rank 1 or more, not 0"),
        ({1: "3xf32"}, {}, "w should have rank 2, not 1"),
        ({}, {"weight_layout": "io"}, "x has 3 features, but w takes 4"),
        ({}, {"weight_layout": "ab"}, "weight_layout should be one of oi, io, not 'ab'"),
        ({1: "4x3xf16"}, {}, "w has f16 elements, but x has f32"),
    ),
    *table(
        matmul.LinearGradWeightOp,
        ["2x3xf32", "2x4xf32"],
        {"weight_layout": "oi"},
        ({0: "f32"}, {}, "x should have rank 1 or more, not 0"),
        ({1: "5x4xf32"}, {}, "dy of shape [5, 4] does not fit x of shape [2, 3]"),
        ({1: "4xf32"}, {}, "dy of shape [4] does not fit x of shape [2, 3]"),
        ({}, {"weight_layout": ""}, "weight_layout should be one of oi, io, not ''"),
    ),
]

CONV = {
    "strides": [1, 1],
    "dilation": [1, 1],
    "pad_low": [0, 0],
    "pad_high": [0, 0],
    "groups": 1,
    "layout": "nchw",
    "weight_layout": "oihw",
}
CONVOLUTION = [
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

POOL = {
    "kernel": [2, 2],
    "strides": [2, 2],
    "pad_low": [0, 0],
    "pad_high": [0, 0],
    "layout": "nchw",
}
POOLING = [
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

C = "3xf32"
NORM = [
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
    *table(
        norm.LayerNormOp,
        ["2x3xf32", C, C],
        {"axis": 1, "eps": 1e-5},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({}, {"axis": 0}, "gamma should be tensor<2x3xf32>, not tensor<3xf32>"),
        ({0: "2x0xf32"}, {}, "x has no elements to normalise over"),
        ({}, {"eps": -1.0}, "eps should be at least 0.0, not -1.0"),
    ),
    *table(
        recurrent.LstmCellOp,
        ["2x12xf32", "2x3xf32"],
        {},
        ({0: "2x9xf32"}, {}, "gates should be tensor<2x12xf32>, not tensor<2x9xf32>"),
        (["f32", "f32"], {}, "c should have a dim of cells"),
    ),
    *table(
        recurrent.LstmCellGradOp,
        ["2x12xf32", *["2x3xf32"] * 4],
        {},
        ({3: "3xf32"}, {}, "dh should be tensor<2x3xf32>, not tensor<3xf32>"),
    ),
    *table(
        recurrent.GruCellOp,
        ["2x9xf32", "2x9xf32", "2x3xf32"],
        {},
        ({1: "2x12xf32"}, {}, "h_gates should be tensor<2x9xf32>, not tensor<2x12xf32>"),
    ),
    *table(
        recurrent.GruCellGradOp,
        ["2x9xf32", "2x9xf32", "2x3xf32", "2x3xf32"],
        {},
        ({3: "3xf32"}, {}, "dnew_h should be tensor<2x3xf32>, not tensor<3xf32>"),
    ),
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
    *table(
        norm.LayerNormGradInputOp,
        ["2x3xf32", "2x3xf32", "2xf32", "2xf32", C],
        {"axis": 1},
        ({0: "3x2xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<3x2xf32>"),
        ({2: "3xf32"}, {}, "mean should be tensor<2xf32>, not tensor<3xf32>"),
        ({4: "2xf32"}, {}, "gamma should be tensor<3xf32>, not tensor<2xf32>"),
    ),
    *table(
        norm.LayerNormGradParamsOp,
        ["2x3xf32", "2x3xf32", "2xf32", "2xf32"],
        {"axis": 1},
        ({3: "2x1xf32"}, {}, "rstd should be tensor<2xf32>, not tensor<2x1xf32>"),
    ),
]

SOFTMAX = [
    *table(
        softmax.SoftmaxOp,
        ["2x3xf32"],
        {"axis": 1},
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        ({0: "2x0xf32"}, {}, "x has no elements along axis 1"),
        ({0: "2x3xi32"}, {}, "x should have float elements, not i32"),
    ),
    *table(
        softmax.SoftmaxGradOp,
        ["2x3xf32", "2x3xf32"],
        {"axis": 1},
        ({1: "2x1xf32"}, {}, "dy should be tensor<2x3xf32>, not tensor<2x1xf32>"),
        ({}, {"axis": -1}, "axis -1 is out of range for rank 2"),
    ),
]

ENTROPY = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
LOSS = [
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

EMBEDDING = [
    *table(
        embedding.EmbeddingOp,
        ["5x3xf32", "2xi64"],
        {"padding_index": -1},
        ({0: "5xf32"}, {}, "table should have rank 2, not 1"),
        ({0: "0x3xf32"}, {}, "the table should have at least one row"),
        ({1: "2xf32"}, {}, "ids should have index elements, not f32"),
        ({}, {"padding_index": 5}, "padding_index 5 should be -1 or a row of the 5 rows"),
        ({}, {"padding_index": -2}, "padding_index -2 should be -1 or a row of the 5 rows"),
    ),
    *table(
        embedding.EmbeddingGradOp,
        ["2xi64", "2x3xf32"],
        {"rows": 5, "padding_index": -1},
        ({1: "3x3xf32"}, {}, "dy of shape [3, 3] does not fit ids of shape [2]"),
        ({1: "2xf32"}, {}, "dy of shape [2] does not fit ids of shape [2]"),
        ({}, {"rows": 0}, "the table should have at least one row"),
        ({}, {"rows": -1}, "the table should have at least one row"),
    ),
]

ATTENTION = {
    "layout": "bhtd",
    "scale": 0.5,
    "causal": False,
    "mask": "none",
    "dropout": 0.0,
    "stream": 0,
}
Q, K, V = "2x3x5x4xf32", "2x3x7x4xf32", "2x3x7x6xf32"
MASKED = [Q, K, V, "2x1x1x7xi1"]
RANDOM = [Q, K, V, "i32", "i32"]
ATTEND = [
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

DROPOUT = table(
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
)

PLACE = {"weight_decay": 0.0, "axis": 0, "begin": 0}
MOMENTUM = {**PLACE, "momentum": 0.9, "dampening": 0.0, "nesterov": False}
EARLY = {"decoupled": False, "eps_before_correction": False}
ADAM = {**PLACE, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **EARLY}
W, G = "5x3xf32", "2x3xf32"
OPTIMIZER = [
    *table(
        optimizer.SgdOp,
        [W, G, "f32"],
        PLACE,
        ({1: "2x4xf32"}, {}, "g of shape [2, 4] is no slice of w of shape [5, 3] on axis 0"),
        ({1: "3xf32"}, {}, "g of shape [3] is no slice of w of shape [5, 3] on axis 0"),
        ({}, {"begin": 4}, "elements 4..5 exceed the 5 of axis 0"),
        ({}, {"begin": -1}, "elements -1..0 exceed the 5 of axis 0"),
        ({}, {"axis": 1}, "g of shape [2, 3] is no slice of w of shape [5, 3] on axis 1"),
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        (["f32", "f32", "f32"], {"axis": 1}, "axis 1 is out of range for rank 1"),
        (["f32", "f32", "f32"], {"begin": 1}, "elements 1..1 exceed the 1 of axis 0"),
        ({1: "2x3xf64"}, {}, "g has f64 elements, but w has f32"),
        ({2: "f64"}, {}, "rate should be tensor<f32>, not tensor<f64>"),
        ({2: "1xf32"}, {}, "rate should be tensor<f32>, not tensor<1xf32>"),
        ({}, {"weight_decay": -0.1}, "weight_decay should be at least 0.0, not -0.1"),
        ({}, {"weight_decay": INF}, "weight_decay should be finite, not inf"),
    ),
    *table(
        optimizer.MomentumOp,
        [W, G, G, "f32", "i32"],
        MOMENTUM,
        ({2: W}, {}, "buf should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({4: "i64"}, {}, "step should be tensor<i32>, not tensor<i64>"),
        ({}, {"momentum": -0.5}, "momentum should be at least 0.0, not -0.5"),
        ({}, {"dampening": NAN}, "dampening should be finite, not nan"),
        ({}, {"nesterov": True, "momentum": 0.0}, "nesterov needs momentum, no dampening"),
        ({}, {"nesterov": True, "dampening": 0.1}, "nesterov needs momentum, no dampening"),
    ),
    *table(
        optimizer.AdamOp,
        [W, G, G, G, "f32", "f32", "f32"],
        ADAM,
        ({3: W}, {}, "v should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({5: "f64"}, {}, "correction1 should be tensor<f32>, not tensor<f64>"),
        ({6: "1xf32"}, {}, "correction2 should be tensor<f32>, not tensor<1xf32>"),
        ({}, {"beta1": 1.0}, "beta1 should be in [0.0, 1.0), not 1.0"),
        ({}, {"beta2": -0.1}, "beta2 should be in [0.0, 1.0), not -0.1"),
        ({}, {"eps": -1e-8}, "eps should be at least 0.0, not -1e-08"),
    ),
    *table(
        optimizer.LionOp,
        [W, G, G, "f32"],
        {"beta1": 0.9, "beta2": 0.99, **PLACE},
        ({2: W}, {}, "m should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({}, {"beta1": 1.0}, "beta1 should be in [0.0, 1.0), not 1.0"),
        ({}, {"beta2": -0.1}, "beta2 should be in [0.0, 1.0), not -0.1"),
    ),
    *table(
        optimizer.AdamCorrectionOp,
        ["i32"],
        {"beta1": 0.9, "beta2": 0.999},
        ({0: "i64"}, {}, "step should be tensor<i32>, not tensor<i64>"),
        ({}, {"beta2": 1.0}, "beta2 should be in [0.0, 1.0), not 1.0"),
    ),
]

NEGATIVES = [
    *ELEMENTWISE,
    *SHAPE,
    *REDUCE,
    *AXES,
    *MATMUL,
    *CONVOLUTION,
    *POOLING,
    *NORM,
    *SOFTMAX,
    *LOSS,
    *EMBEDDING,
    *ATTEND,
    *DROPOUT,
    *OPTIMIZER,
]

# As text: what only a reader of text can get wrong.
AXIS = "the property should be an integer, like 1 : i64."
AXES = "the property should be a list of integers, like array<i64: 0, 2>."
NUMBER = "the property should be a number, like 0.5 : f64."
TEXTS = (
    (
        "%y = nn.relu %x : (tensor<4xf32>) -> tensor<5xf32>",
        "nn.relu: result types should be (tensor<4xf32>), not (tensor<5xf32>)",
    ),
    ("%y = nn.softmax %x {axis = 0 : i32} : (tensor<4xf32>) -> tensor<4xf32>", AXIS),
    ('%y = nn.softmax %x {axis = "0"} : (tensor<4xf32>) -> tensor<4xf32>', AXIS),
    (
        "%y = nn.softmax %x : (tensor<4xf32>) -> tensor<4xf32>",
        "property 'axis' expected in operation 'nn.softmax'",
    ),
    ("%y = nn.sum %x {axes = array<i32: 0>} : (tensor<4xf32>) -> tensor<f32>", AXES),
    ("%y = nn.sum %x {axes = [0]} : (tensor<4xf32>) -> tensor<f32>", AXES),
    ("%y = nn.power %x {exponent = 2.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>", NUMBER),
    ("%y = nn.power %x {exponent = 2} : (tensor<4xf32>) -> tensor<4xf32>", NUMBER),
    (
        "%y = nn.gelu %x {approximation = @none} : (tensor<4xf32>) -> tensor<4xf32>",
        "the property should be text in quotes.",
    ),
    (
        '%y = "nn.matmul"(%x, %x) <{transpose_lhs = 1, transpose_rhs = true}>'
        " : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>",
        "the property should be true or false.",
    ),
    (
        '%y = "nn.add"(%x) : (tensor<4xf32>) -> tensor<4xf32>',
        "nn.add: Expected 2 operands, but got 1",
    ),
    (
        '%y:2 = "nn.relu"(%x) : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)',
        "nn.relu: Expected 1 result, but got 2",
    ),
    (
        "%y = nn.exp %x : (tensor<4xf32>) -> i32",
        "i32 should be of base attribute tensor",
    ),
    (
        '%y = "nn.relu"(%x) <{extra = 1}> : (tensor<4xf32>) -> tensor<4xf32>',
        "property 'extra' is not defined",
    ),
)
