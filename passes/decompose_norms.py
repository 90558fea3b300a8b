"""Take batch norm apart, so that its elementwise half fuses with the activation behind it.

Training: the moments stay one op (two passes over x); the rest is one factor and one shift per
channel, y = x * scale + shift with scale = gamma * rstd and shift = beta - mean * scale. These are
computed in f64 and rounded once, since their rounding moves a whole channel. Inference is the same
with given statistics, in the type of x: a device may have no f64. Runs after autodiff, whose rules
know batch norm as a whole.

before:
    builtin.module attributes {pock.level = "train"} {
      func.func @infer(
        %x: tensor<2x3xf32>, %gamma: tensor<3xf32>, %beta: tensor<3xf32>,
        %mean: tensor<3xf32>, %variance: tensor<3xf32>
      ) -> tensor<2x3xf32> {
        %y = nn.batch_norm_inference %x, %gamma, %beta, %mean, %variance
          {axis = 1 : i64, eps = 1.0e-05 : f64}
          : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
          -> tensor<2x3xf32>
        func.return %y : tensor<2x3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "train"} {
      func.func @infer(
        %x: tensor<2x3xf32>, %gamma: tensor<3xf32>, %beta: tensor<3xf32>,
        %mean: tensor<3xf32>, %variance: tensor<3xf32>
      ) -> tensor<2x3xf32> {
        %eps = nn.constant {value = 1.0e-05 : f64, type = tensor<3xf32>} : () -> tensor<3xf32>
        %0 = nn.add %variance, %eps : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        %rstd = nn.rsqrt %0 : (tensor<3xf32>) -> tensor<3xf32>
        %scale = nn.mul %gamma, %rstd : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        %1 = nn.mul %mean, %scale : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        %shift = nn.sub %beta, %1 : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
        %scales = nn.broadcast %scale {shape = array<i64: 2, 3>, axes = array<i64: 1>}
          : (tensor<3xf32>) -> tensor<2x3xf32>
        %2 = nn.mul %x, %scales : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %shifts = nn.broadcast %shift {shape = array<i64: 2, 3>, axes = array<i64: 1>}
          : (tensor<3xf32>) -> tensor<2x3xf32>
        %y = nn.add %2, %shifts : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %y : tensor<2x3xf32>
      }
    }
unchanged: results up to rounding: the same formula in another order, which is also PyTorch's on
    a CPU. An element's error grows with |mean| / deviation of its channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.build import Emitter
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp, MomentsOp
from pock_ir.op import integer, number
from pock_ir.passes.autodiff.algebra import Term, rsqrt
from pock_ir.passes.rewrite import Rule, rewrite_module
from pock_ir.types import dtype_of


def decompose_training(op: BatchNormOp, emit: Emitter) -> Sequence[SSAValue]:
    """batch_norm(x) -> moments(x) and x * scale + shift"""
    mean, variance = emit.op(MomentsOp, op.x, axis=integer(op.axis)).results
    return _normalize(op, mean, variance, emit, "f64"), mean, variance


def decompose_inference(op: BatchNormInferenceOp, emit: Emitter) -> SSAValue:
    """batch_norm_inference(x) -> x * scale + shift"""
    return _normalize(op, op.mean, op.variance, emit, dtype_of(op.x).name)


def _normalize(
    op: BatchNormOp | BatchNormInferenceOp,
    mean: SSAValue,
    variance: SSAValue,
    emit: Emitter,
    dtype: str,
) -> SSAValue:
    """x * scale + shift, both [C] and computed in `dtype` before they are spread over x."""
    own, axis = dtype_of(op.x).name, integer(op.axis)
    gamma, beta, center, spread = (
        Term(emit, value).to(dtype) for value in (op.gamma, op.beta, mean, variance)
    )
    scale = (gamma * rsqrt(spread + number(op.eps))).to(own)
    shift = (beta - center * scale.to(dtype)).to(own)
    scaled = Term(emit, op.x) * scale.spread(op.x, axis)
    return (scaled + shift.spread(op.x, axis)).value


RULES: Mapping[type[Operation], Sequence[Rule]] = {
    BatchNormInferenceOp: [decompose_inference],
    BatchNormOp: [decompose_training],
}


@dataclass(frozen=True)
class DecomposeNormsPass(ModulePass):
    """See the module's text."""

    name = "decompose-norms"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_module(op, RULES)
