"""Samples of ops that make or move elements."""

from xdsl.dialects.builtin import FloatAttr, f32

from pock_ir.dialects import shape as s
from pock_ir.types import tensor
from samples.sample import Sample, booleans, integers, normal

CONSTANT = [
    Sample(s.ConstantOp, (), {"value": value, "type": type}, id, reason)
    for value, type, id, reason in (
        (0.1, tensor((2, 3)), "f32", "0.1 rounds on the way to f32"),
        (FloatAttr(0.5, f32), tensor((5,)), "own-type", "a literal of the element type"),
        (float("-inf"), tensor(()), "infinity", "what a maximum starts from"),
        (0.1, tensor((3,), "f64"), "f64", "not rounded to f32"),
        (-7, tensor((4,), "i64"), "i64", "a negative integer"),
        (True, tensor((3,), "i1"), "true", "i1 true may be held as -1"),
        (1, tensor((3,), "i1"), "one", "i1 true as an i64"),
    )
]

IOTA = [
    Sample(s.IotaOp, (), {"axis": axis, "type": type}, id, reason)
    for axis, type, id, reason in (
        (0, tensor((5,), "i32"), "vector", "the plain case"),
        (1, tensor((2, 3, 2), "i64"), "middle", "axis between others"),
        (1, tensor((2, 3)), "f32", "floats"),
        (0, tensor((128,), "i8"), "full", "the last index is the largest i8"),
    )
]

BROADCAST = [
    Sample(s.BroadcastOp, (x,), {"shape": shape, "axes": axes}, id, reason)
    for x, shape, axes, id, reason in (
        (normal(), [2, 3], [], "scalar", "rank 0 to rank 2"),
        (normal(3), [2, 3], [1], "row", "a bias of a linear layer"),
        (normal(3), [2, 3, 5, 7], [1], "channel", "a bias of a convolution in NCHW"),
        (normal(2, 5), [2, 3, 5], [0, 2], "middle", "a new axis between"),
        (normal(2, 3), [2, 3], [0, 1], "none", "no new axis"),
        (normal(1, 3), [1, 4, 3], [0, 2], "one", "size 1 is not special"),
        (integers(0, 9, 3), [3, 2], [0], "i64", "integers"),
    )
]

RESHAPE = [
    Sample(s.ReshapeOp, (x,), {"shape": shape}, id, reason)
    for x, shape, id, reason in (
        (normal(2, 3, 4), [2, 12], "flatten", "before a classifier"),
        (normal(6), [3, 1, 2], "split", "one dim to several, with a 1"),
        (normal(1, 1), [], "scalar", "to rank 0"),
        (booleans(4), [2, 2], "i1", "conditions"),
    )
]

TRANSPOSE = [
    Sample(s.TransposeOp, (x,), {"permutation": order}, id, reason)
    for x, order, id, reason in (
        (normal(3, 5), [1, 0], "matrix", "the plain case"),
        (normal(2, 3, 5, 7), [0, 2, 3, 1], "nhwc", "a cycle of three: its inverse differs"),
        (normal(2, 3), [0, 1], "none", "the identity"),
        (normal(), [], "scalar", "rank 0"),
    )
]


def slice_sample(x, begin, end, stride, id, reason) -> Sample:
    return Sample(s.SliceOp, (x,), {"begin": begin, "end": end, "stride": stride}, id, reason)


SLICE = [
    slice_sample(normal(5, 7), [1, 2], [4, 7], [1, 1], "block", "both ends"),
    slice_sample(normal(7), [1], [7], [3], "strided", "the last step reaches beyond the end"),
    slice_sample(normal(7), [0], [7], [2], "even", "the last step reaches the last element"),
    slice_sample(normal(3, 4), [2, 0], [3, 4], [5, 1], "long", "a stride beyond the range"),
    slice_sample(normal(), [], [], [], "scalar", "rank 0"),
]


def pad_sample(x, low, high, value, id, reason) -> Sample:
    return Sample(s.PadOp, (x,), {"low": low, "high": high, "value": value}, id, reason)


PAD = [
    pad_sample(normal(2, 3), [1, 0], [0, 2], 0.5, "uneven", "both dims differ"),
    pad_sample(normal(3), [0], [0], 0.0, "none", "nothing added"),
    pad_sample(normal(2, 2), [0, 3], [0, 3], float("-inf"), "infinity", "before a maximum"),
    pad_sample(integers(0, 9, 3), [1], [1], -1.0, "i64", "an integral value for integers"),
    pad_sample(normal(), [], [], 0.0, "scalar", "rank 0"),
]

CONCAT = [
    Sample(s.ConcatOp, xs, {"axis": axis}, id, reason)
    for xs, axis, id, reason in (
        ((normal(2, 3), normal(2, 5)), 1, "last", "different sizes"),
        ((normal(1, 3), normal(4, 3), normal(2, 3)), 0, "first", "three operands"),
        ((normal(2, 3),), 1, "single", "one operand"),
        ((booleans(2), booleans(3)), 0, "i1", "conditions"),
    )
]

SAMPLES = [
    *CONSTANT,
    *IOTA,
    *BROADCAST,
    *RESHAPE,
    *TRANSPOSE,
    *SLICE,
    *PAD,
    *CONCAT,
]
