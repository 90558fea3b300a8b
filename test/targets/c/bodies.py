"""Fused bodies for the loop kernels: elementwise ops around reductions, broadcasts, updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import FloatAttr, UnknownLoc
from xdsl.dialects.builtin import f64 as double
from xdsl.ir import Block, SSAValue
from xdsl.rewriter import InsertPoint

from pock_ir.build import Emitter
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    CompareOp,
    DivOp,
    ExpOp,
    GeluOp,
    LogicalAndOp,
    LogicalNotOp,
    MulOp,
    NegOp,
    ReluOp,
    RsqrtOp,
    SelectOp,
    SquareOp,
    SubOp,
)
from pock_ir.dialects.kern import CallOp, YieldOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormGradSumsOp, BatchNormOp
from pock_ir.dialects.optimizer import SgdOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from pock_ir.dialects.shape import (
    BroadcastOp,
    ConcatOp,
    ConstantOp,
    IotaOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from pock_ir.dialects.softmax import SoftmaxOp
from pock_ir.types import Tensor, shape_of, tensor

Build = Callable[..., Sequence[SSAValue] | SSAValue]


@dataclass(frozen=True)
class Body:
    """A fused body: `build(emit, *arguments)` adds the ops and returns the results."""

    kernel: str
    types: Sequence[Tensor]
    build: Build
    updates: Sequence[int] | None = None

    @property
    def id(self) -> str:
        return self.build.__name__

    def call(self) -> CallOp:
        block = Block(arg_types=list(self.types))
        emit = Emitter(InsertPoint.at_end(block), UnknownLoc())
        built = self.build(emit, *block.args)
        results = [built] if isinstance(built, SSAValue) else list(built)
        emit.insert(YieldOp.create(operands=results))
        outer = Block(arg_types=list(self.types))
        call = CallOp.of(list(outer.args), block, UnknownLoc(), self.updates)
        call.verify()
        return call


BODIES: list[Body] = []


def body(kernel: str, *types: Tensor, updates: Sequence[int] | None = None) -> Any:
    def add(build: Build) -> Build:
        BODIES.append(Body(kernel, types, build, updates))
        return build

    return add


def f32(*shape: int) -> Tensor:
    return tensor(shape)


I1, I32 = tensor((5, 37), "i1"), tensor((), "i32")


@body("map", f32(3, 4, 21), f32(21), f32(3))
def two_broadcasts(emit, x, columns, rows):
    a = emit(BroadcastOp, columns, shape=[3, 4, 21], axes=[2])
    b = emit(BroadcastOp, rows, shape=[3, 4, 21], axes=[0])
    return emit(GeluOp, emit(AddOp, emit(MulOp, x, b), a), approximation="tanh")


@body("map", f32(6, 40), f32(40))
def computed_broadcast(emit, x, variance):
    scale = emit(BroadcastOp, emit(RsqrtOp, emit(SquareOp, variance)), shape=[6, 40], axes=[1])
    return emit(MulOp, x, scale)


@body("map", f32(5, 37), f32(5, 37), I1)
def conditions_in_and_out(emit, x, y, mask):
    less = emit(CompareOp, x, y, predicate="lt")
    both = emit(LogicalAndOp, less, emit(LogicalNotOp, mask))
    return emit(SelectOp, both, x, y), both, emit(CastOp, both, to="f32")


@body("map", tensor((50,), "i32"), tensor((50,), "i64"))
def integers(emit, narrow, wide):
    total = emit(AddOp, emit(CastOp, narrow, to="i64"), wide)
    return emit(CastOp, total, to="f32"), emit(MulOp, narrow, narrow), total


@body("map", f32(4, 6, 10))
def views(emit, x):
    turned = emit(TransposeOp, x, permutation=[2, 0, 1])
    part = emit(SliceOp, turned, begin=[1, 0, 2], end=[9, 4, 6], stride=[2, 1, 1])
    return emit(ExpOp, part)


@body("map", f32(30))
def unit_dims(emit, x):
    column = emit(ReshapeOp, x, shape=[30, 1])
    wide = emit(ReshapeOp, emit(ReluOp, column), shape=[1, 30])
    numbers = emit(IotaOp, axis=1, type=f32(1, 30))
    return emit(AddOp, wide, numbers)


@body("map", f32(7, 33), I32, I32)
def dropout_after_relu(emit, x, seed, step):
    return emit(DropoutOp, emit(ReluOp, x), seed, step, p=0.3, stream=5)


@body("map", f32(40), f32(40), f32(), updates=[0])
def update_in_place(emit, w, g, rate):
    doubled = emit(AddOp, g, g)
    return emit(SgdOp, w, doubled, rate, weight_decay=0.1, axis=0, begin=0)


@body("map", f32(8, 6), f32(3, 6), f32(), updates=[0])
def update_of_rows(emit, w, g, rate):
    return emit(SgdOp, w, g, rate, weight_decay=0.1, axis=0, begin=4)


@body("reduce", f32(20, 50), f32(50), f32(), updates=[1])
def bias_gradient_and_update(emit, dy, w, rate):
    g = emit(SumOp, dy, axes=[0])
    return emit(SgdOp, w, g, rate, weight_decay=0.0, axis=0, begin=0)


@body("reduce", f32(9, 6, 35))
def several_sums(emit, x):
    squares = emit(SumOp, emit(SquareOp, x), axes=[0, 1])
    return emit(MeanOp, x, axes=[0, 1]), squares, emit(MaxOp, x, axes=[0, 1])


@body("reduce", f32(6, 90), f32(6, 90))
def mean_squared_error(emit, x, y):
    return emit(MeanOp, emit(SquareOp, emit(SubOp, x, y)), axes=[0, 1])


@body("reduce", f32(6, 70))
def reduced_and_spread_again(emit, x):
    peak = emit(MaxOp, x, axes=[1])
    shifted = emit(SubOp, x, emit(BroadcastOp, peak, shape=[6, 70], axes=[0]))
    return emit(ExpOp, shifted), peak


@body("reduce", f32(2, 3, 700, 2))
def long_sums(emit, x):
    return emit(SumOp, x, axes=[2]), emit(SumOp, emit(SquareOp, x), axes=[2])


@body("reduce", f32(2, 5000))
def long_rows(emit, x):
    return emit(SumOp, x, axes=[1])


@body("rows", f32(5, 44), f32(5, 44))
def scaled_softmax(emit, x, mask):
    scale = emit(ConstantOp, value=FloatAttr(0.125, double), type=f32(5, 44))
    return emit(SoftmaxOp, emit(AddOp, emit(MulOp, x, scale), mask), axis=1)


@body("rows", f32(6, 80), f32(6, 80), f32(80), f32(80))
def residual_layer_norm(emit, x, y, gamma, beta):
    total = emit(AddOp, x, y)
    norm = emit.op(LayerNormOp, total, gamma, beta, axis=1, eps=1e-5)
    return total, norm.results[0], norm.results[2]


@body("rows", f32(4, 5, 6, 20), f32(20), f32(20))
def batch_norm_relu(emit, x, gamma, beta):
    norm = emit.op(BatchNormOp, x, gamma, beta, axis=3, eps=1e-5)
    return emit(ReluOp, norm.results[0]), norm.results[1]


@body("rows", f32(3, 18, 40))
def softmax_of_columns(emit, x):
    return emit(SoftmaxOp, emit(ReluOp, x), axis=1)


def f64(*shape: int) -> Tensor:
    return tensor(shape, "f64")


def affine_in_f64(emit, x, scale, shift):
    """As in the gradient of batch norm: the whole chain is f64, its ends are f32."""
    rows = [emit(BroadcastOp, each, shape=shape_of(x), axes=[1]) for each in (scale, shift)]
    product = emit(MulOp, emit(CastOp, x, to="f64"), rows[0])
    return emit(CastOp, emit(AddOp, product, rows[1]), to="f32")


for columns in (5, 8, 12, 16, 27, 48):
    kind = (f32(6, columns), f64(columns), f64(columns))
    BODIES.append(Body("map", kind, affine_in_f64))


@body("map", f32(37), f64(37), f64(37))
def factors_in_f64(emit, variance, gamma, total):
    rstd = emit(RsqrtOp, emit(SquareOp, emit(CastOp, variance, to="f64")))
    return emit(NegOp, emit(DivOp, emit(MulOp, gamma, rstd), total)), emit(SubOp, gamma, total)


@body("reduce", f32(3, 4, 21))
def sum_of_rows_in_f64(emit, x):
    total = emit(SumOp, emit(CastOp, x, to="f64"), axes=[1, 2])
    return emit(CastOp, total, to="f32"), total


@body("rows", f32(7, 35), f32(7, 35), f32(35))
def sums_of_columns_in_f64(emit, dy, x, mean):
    return emit.op(BatchNormGradSumsOp, dy, x, mean, axis=1).results


@body("concat", f32(3, 5), f32(3, 2))
def one_operand_in_two_places(emit, x, y):
    return emit(ConcatOp, x, y, x, y, y, axis=1)
