"""Every gradient rule against central differences of the reference, and against torch.

The samples of all ops serve as the table; those that are not smooth are declared there. What
torch defines at kinks and ties is compared with torch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from samples import Sample, all_samples
from xdsl.dialects.builtin import UNKNOWN_LOC
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects import all_ops
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
    ClampOp,
    GeluOp,
    HardSigmoidOp,
    HardSwishOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    PowerOp,
    ReluOp,
    SiluOp,
)
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.functions import PowOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.loss import CrossEntropyOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.norm import BatchNormOp
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.dialects.reduce import MaxOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.rms_norm import RmsNormOp
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxOp
from pock_ir.interpret import run_block
from pock_ir.op import PockOp
from pock_ir.passes.autodiff.engine import Request, build_gradients, is_differentiable
from pock_ir.passes.autodiff.facet import VJP
from pock_ir.types import Array, Tensor, shape_of, tensor

ONLY_FIRST = (AttentionOp, CrossEntropyOp, LayerNormOp, RmsNormOp)
"""Ops whose other results are kept for the gradient and have none themselves."""

STEP = 1e-6
"""Central differences in f64 then err by about 1e-10, from rounding and curvature alike."""


class Check:
    """One op; the loss is the sum of products of its float results with cotangents."""

    def __init__(self, op_type: type[PockOp], types: Sequence[Tensor], **properties) -> None:
        self.block = Block(arg_types=types)
        self.operands = list(self.block.args)
        emit = Emitter.at_end(self.block, UNKNOWN_LOC)
        op = emit.op(op_type, *self.operands, **properties)
        results = op.results[:1] if isinstance(op, ONLY_FIRST) else op.results
        self.results = [result for result in results if is_differentiable(result)]
        self.wanted = [i for i, x in enumerate(self.operands) if is_differentiable(x)]
        terms = [self._weighted(emit, result) for result in self.results]
        self.loss = terms[0] if terms else None
        for term in terms[1:]:
            self.loss = emit(AddOp, self.loss, term)
        self.block.add_op(ReturnOp(*terms[:0], *([self.loss] if terms else [])))

    def _weighted(self, emit: Emitter, result: SSAValue) -> SSAValue:
        cotangent = self.block.insert_arg(result.type, len(self.block.args))
        product = emit(MulOp, result, cotangent)
        return emit(SumOp, product, axes=list(range(len(shape_of(result)))))

    def cotangents(self, random: np.random.Generator) -> list[Array]:
        return [random.standard_normal(shape_of(result)) for result in self.results]

    def loss_at(self, arrays: Sequence[Array]) -> float:
        return float(run_block(self.block, arrays)[0])

    def gradients(self, arrays: Sequence[Array]) -> list[Array]:
        """The gradients to `wanted`; this changes the block, so ask for it last."""
        requests = [Request(self.operands[i]) for i in self.wanted]
        values = build_gradients(self.block, self.loss, requests)
        assert None not in values
        self.block.erase_op(self.block.last_op)
        self.block.add_op(ReturnOp(*values))
        return run_block(self.block, arrays)


NO_SLOPE = {
    "nn.cross_entropy-all-ignored": "the loss is 0 / 0",
    "nn.embedding-padding": "the row of the padding index has no gradient by definition",
    "nn.max_pool2d-nchw-empty": "a window of nothing but padding is -inf",
    "nn.max_pool2d-nhwc-empty": "a window of nothing but padding is -inf",
    "nn.pad-infinity": "the padding is infinite",
}
"""Samples that are smooth where they are finite, but whose loss has no slope to compare with."""

NN_SAMPLES = [sample for sample in all_samples() if sample.op_type.name.startswith("nn.")]


@pytest.mark.parametrize("sample", [s for s in NN_SAMPLES if s.smooth], ids=str)
def test_gradient_against_central_differences(sample: Sample) -> None:
    check = Check(sample.op_type, sample.types("f64"), **sample.properties)
    if not check.results or not check.wanted:
        assert VJP.has(sample.op_type)
        return
    random = np.random.default_rng(0)
    arrays = [*sample.arrays("f64"), *check.cotangents(random)]
    slopes, directions = [], []
    for index in check.wanted:
        directions.append(random.standard_normal((3, *arrays[index].shape)))
        slopes.append([slope(check, arrays, index, d) for d in directions[-1]])
    differs = False
    for wanted, along, gradient in zip(slopes, directions, check.gradients(arrays), strict=True):
        found = [np.vdot(direction, gradient) for direction in along]
        scale = np.linalg.norm(gradient) * STEP + 1e-7
        differs |= not np.allclose(found, wanted, rtol=1e-6, atol=scale)
    assert differs == (str(sample) in NO_SLOPE)


def slope(check: Check, arrays: Sequence[Array], index: int, direction: Array) -> float:
    sides = []
    for sign in (1, -1):
        moved = list(arrays)
        moved[index] = arrays[index] + sign * STEP * direction
        sides.append(check.loss_at(moved))
    return (sides[0] - sides[1]) / (2 * STEP)


def test_every_op_has_a_gradient_or_a_reason() -> None:
    ops = [op for op in all_ops() if op.name.split(".")[0] in ("nn", "train")]
    assert VJP.missing(ops) == []


def test_only_ops_of_training_graphs_are_refused() -> None:
    ops = [op for op in all_ops() if op.name.split(".")[0] in ("nn", "train")]
    refused = {op.name for op in ops if VJP.reason_against(op)}
    assert refused == {op.name for op in ops if op.name.startswith("train.")}


def test_every_nn_op_has_a_sample() -> None:
    names = {op.name for op in all_ops() if op.name.startswith("nn.")}
    assert names == {sample.op_type.name for sample in NN_SAMPLES}


# Against torch: what a definition leaves open, at kinks and ties, and the large ops.

NAN = float("nan")
KINKS = [-4.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 4.0, 6.0, 7.0]
TIES = [[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, -1.0]]

UNARY = {
    "abs": (AbsOp, {}, torch.abs),
    "gelu": (GeluOp, {"approximation": "none"}, F.gelu),
    "gelu tanh": (GeluOp, {"approximation": "tanh"}, lambda x: F.gelu(x, approximate="tanh")),
    "hardsigmoid": (HardSigmoidOp, {}, F.hardsigmoid),
    "hardswish": (HardSwishOp, {}, F.hardswish),
    "hardtanh": (ClampOp, {"min": -1.0, "max": 1.0}, F.hardtanh),
    "relu": (ReluOp, {}, F.relu),
    "relu6": (ClampOp, {"min": 0.0, "max": 6.0}, F.relu6),
    "silu": (SiluOp, {}, F.silu),
    "square": (PowerOp, {"exponent": 2.0}, lambda x: x**2),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary_against_torch(name: str) -> None:
    op_type, properties, reference = UNARY[name]
    # torch takes 1/6 in f32 for the gradient of hardsigmoid in f64.
    precision = 1e-7 if name == "hardsigmoid" else 1e-10
    compare(op_type, properties, reference, [np.array(KINKS)], precision)


@pytest.mark.parametrize(
    ("op_type", "properties", "reference"),
    [
        (ReluOp, {}, F.relu),
        (ClampOp, {"min": -1.0, "max": 1.0}, F.hardtanh),
        (AbsOp, {}, torch.abs),
    ],
)
def test_nan_does_not_stop_or_start_a_gradient(op_type, properties, reference) -> None:
    compare(op_type, properties, reference, [np.array([NAN, 0.5])])


@pytest.mark.parametrize(
    ("op_type", "reference"), [(MaximumOp, torch.maximum), (MinimumOp, torch.minimum)]
)
def test_ties_of_two_values_against_torch(op_type, reference) -> None:
    values = np.array(KINKS)
    compare(op_type, {}, reference, [values, np.where(values > 0, values, 1.0)])


@pytest.mark.parametrize("axes", [(1,), (0,), (0, 1)])
def test_ties_of_a_maximum_against_torch(axes) -> None:
    compare(MaxOp, {"axes": axes}, lambda x: torch.amax(x, axes), [np.array(TIES)])


@pytest.mark.parametrize("axes", [(1,), (0, 1)])
def test_ties_of_a_minimum_against_torch(axes) -> None:
    compare(MinOp, {"axes": axes}, lambda x: torch.amin(x, axes), [-np.array(TIES)])


@pytest.mark.parametrize("zeros", [[], [0], [0, 2]])
def test_products_with_zeros_against_torch(zeros) -> None:
    x = np.array([[3.0, -2.0, 0.5], [1.0, 2.0, 4.0]])
    x[0, zeros] = 0.0
    compare(ProdOp, {"axes": (1,)}, lambda x: torch.prod(x, 1), [x])


def test_powers_against_torch() -> None:
    bases = np.array([-2.0, -1.5, 0.0, 0.0, 0.0, 3.0, -1.0, 0.5])
    exponents = np.array([2.0, -3.0, 2.0, 1.0, 0.0, -1.5, 0.0, 0.7])
    compare(PowOp, {}, torch.pow, [bases, exponents])


def test_ties_of_max_pooling_against_torch() -> None:
    pool = {"kernel": (3, 2), "strides": (2, 1), "pad_low": (1, 1), "pad_high": (1, 1)}
    options = {**pool, "dilation": (1, 1), "layout": "nchw"}
    x = np.round(normal(2, 3, 6, 5))
    compare(MaxPool2dOp, options, lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1)), [x])


@pytest.mark.parametrize("include", [False, True])
def test_average_pooling_against_torch(include: bool) -> None:
    pool = {"kernel": (3, 2), "strides": (2, 1), "pad_low": (1, 1), "pad_high": (1, 1)}
    options = {**pool, "count_include_pad": include, "layout": "nchw"}

    def reference(x):
        return F.avg_pool2d(x, (3, 2), (2, 1), (1, 1), count_include_pad=include)

    compare(AvgPool2dOp, options, reference, [normal(2, 3, 6, 5)])


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_against_torch(groups: int) -> None:
    window = {"strides": (2, 1), "dilation": (1, 2), "pad_low": (1, 0), "pad_high": (1, 0)}
    layouts = {"groups": groups, "layout": "nchw", "weight_layout": "oihw"}

    def reference(x, w):
        return F.conv2d(x, w, None, (2, 1), (1, 0), (1, 2), groups)

    arrays = [normal(2, 4, 7, 6), normal(6, 4 // groups, 3, 2)]
    compare(Conv2dOp, {**window, **layouts}, reference, arrays)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_against_torch(reduction: str, smoothing: float) -> None:
    options = {"ignore_index": 2, "reduction": reduction, "label_smoothing": smoothing}
    labels = np.array([0, 2, 4, 1, 2])

    def reference(logits, labels):
        return F.cross_entropy(logits, labels, **options)

    compare(CrossEntropyOp, options, reference, [normal(5, 5), labels])


@pytest.mark.parametrize("padding", [-1, 1])
def test_embedding_against_torch(padding: int) -> None:
    ids = np.array([[0, 1, 1], [3, 0, 0]])
    index = None if padding < 0 else padding

    def reference(table, ids):
        return F.embedding(ids, table, padding_idx=index)

    compare(EmbeddingOp, {"padding_index": padding}, reference, [normal(4, 3), ids])


def test_linear_against_torch() -> None:
    compare(LinearOp, {"weight_layout": "oi"}, F.linear, [normal(2, 5, 3), normal(4, 3)])


def test_norms_against_torch() -> None:
    def batch_norm(x, gamma, beta):
        return F.batch_norm(x, None, None, gamma, beta, training=True)

    def layer_norm(x, gamma, beta):
        return F.layer_norm(x, (4,), gamma, beta)

    for op_type, axis, reference, count in (
        (BatchNormOp, 1, batch_norm, 3),
        (LayerNormOp, 2, layer_norm, 4),
    ):
        arrays = [normal(2, 3, 4), normal(count), normal(count)]
        compare(op_type, {"axis": axis, "eps": 1e-5}, reference, arrays)


def test_softmax_against_torch() -> None:
    compare(SoftmaxOp, {"axis": 1}, lambda x: F.softmax(x, 1), [normal(2, 3, 4)])
    compare(LogSoftmaxOp, {"axis": 1}, lambda x: F.log_softmax(x, 1), [normal(2, 3, 4)])


def test_attention_against_torch() -> None:
    options = {"scale": 0.5, "causal": True, "mask": "none", "dropout": 0.0, "stream": 0}
    options |= {"layout": "bhtd", "masked_rows": "zero"}

    def reference(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.5)

    arrays = [normal(2, 3, 5, 4), normal(2, 3, 5, 4), normal(2, 3, 5, 6)]
    compare(AttentionOp, options, reference, arrays)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (1, 3, 1, 5), (2, 1, 5, 5)])
def test_bias_of_attention_against_torch(shape) -> None:
    """The gradient to the mask as well; one query sees nothing but -inf."""
    options = {"scale": 0.5, "causal": False, "mask": "additive", "dropout": 0.0, "stream": 0}
    options |= {"layout": "bhtd", "masked_rows": "zero"}

    def reference(q, k, v, bias):
        return F.scaled_dot_product_attention(q, k, v, bias, scale=0.5)

    bias = normal(*shape)
    bias[0, 1 % shape[1], 0] = -np.inf
    arrays = [normal(2, 3, 5, 4), normal(2, 3, 5, 4), normal(2, 3, 5, 6), bias]
    compare(AttentionOp, options, reference, arrays)


def test_dropout_gives_the_gradient_the_same_mask() -> None:
    types = [tensor((64,), "f64"), tensor((), "i32"), tensor((), "i32")]
    check = Check(DropoutOp, types, p=0.5, stream=3)
    ones = np.ones(64)
    key = [np.array(7, np.int32), np.array(1, np.int32)]
    (y,) = evaluated(check, [ones, *key, ones])
    (dx,) = check.gradients([ones, *key, ones])
    np.testing.assert_array_equal(dx, y)
    assert 0 < np.count_nonzero(dx) < 64


def evaluated(check: Check, arrays: Sequence[Array]) -> list[Array]:
    """The first result of the op itself."""
    first = check.block.first_op
    return [first.evaluate(*arrays[: len(first.operands)])]


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def compare(
    op_type: type[PockOp],
    properties: dict,
    reference: Callable,
    arrays: Sequence[Array],
    precision: float = 1e-10,
) -> None:
    """The gradients of an op and those of torch, in f64, for random cotangents."""
    dtypes = {"f": "f64", "i": "i64"}
    types = [tensor(array.shape, dtypes[array.dtype.kind]) for array in arrays]
    check = Check(op_type, types, **properties)
    check.results = check.results[:1]
    inputs = [torch.tensor(array, requires_grad=array.dtype.kind == "f") for array in arrays]
    output = reference(*inputs)
    cotangents = check.cotangents(np.random.default_rng(1))
    (output * torch.tensor(cotangents[0])).sum().backward()
    spare = [np.zeros(shape_of(arg)) for arg in check.block.args[len(arrays) + 1 :]]
    found = check.gradients([*arrays, *cotangents, *spare])
    for index, gradient in zip(check.wanted, found, strict=True):
        wanted = inputs[index].grad.numpy()
        np.testing.assert_allclose(gradient, wanted, rtol=precision, atol=1e-12, equal_nan=True)
