"""Choose the layouts in which kernels are fast: NHWC pictures, HWIO and [I, O] weights.

Options: layout = "nhwc" (or "keep" what the framework has), linear = "io" (or "oi"). Weights that
are arguments change their stored form: the argument's type changes in every function, and
`pock.permute` says that the stored tensor is the framework's tensor transposed by it. A weight that
something else reads too (a tied embedding) keeps its form. Attention takes its operands as
projections make them, [B, T, H, D].

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(
        %w: tensor<8x3x1x1xf32> {
          pock.kind = "parameter", pock.name = "w"
        },
        %x: tensor<2x3x4x4xf32> {pock.kind = "input", pock.name = "x"}
      ) -> tensor<2x8xf32> {
        %y = nn.conv2d %x, %w {
          strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 0, 0>,
          pad_high = array<i64: 0, 0>, groups = 1 : i64, layout = "nchw", weight_layout = "oihw"
        } : (tensor<2x3x4x4xf32>, tensor<8x3x1x1xf32>) -> tensor<2x8x4x4xf32>
        %a = nn.relu %y : (tensor<2x8x4x4xf32>) -> tensor<2x8x4x4xf32>
        %m = nn.mean %a {axes = array<i64: 2, 3>} : (tensor<2x8x4x4xf32>) -> tensor<2x8xf32>
        func.return %m : tensor<2x8xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(
        %w: tensor<1x1x3x8xf32> {
          pock.kind = "parameter", pock.name = "w", pock.permute = array<i64: 2, 3, 1, 0>
        },
        %x: tensor<2x3x4x4xf32> {pock.kind = "input", pock.name = "x"}
      ) -> tensor<2x8xf32> {
        %t = nn.transpose %x {permutation = array<i64: 0, 2, 3, 1>}
          : (tensor<2x3x4x4xf32>) -> tensor<2x4x4x3xf32>
        %y = nn.conv2d %t, %w {
          strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>, pad_low = array<i64: 0, 0>,
          pad_high = array<i64: 0, 0>, groups = 1 : i64, layout = "nhwc", weight_layout = "hwio"
        } : (tensor<2x4x4x3xf32>, tensor<1x1x3x8xf32>) -> tensor<2x4x4x8xf32>
        %a = nn.relu %y : (tensor<2x4x4x8xf32>) -> tensor<2x4x4x8xf32>
        %m = nn.mean %a {axes = array<i64: 1, 2>} : (tensor<2x4x4x8xf32>) -> tensor<2x8xf32>
        func.return %m : tensor<2x8xf32>
      }
    }
unchanged: the signature but for permuted weights; results up to the order in which reductions
    add. Dropout keeps its masks: it draws by position, so no transpose moves past it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.build import Emitter
from pock_ir.diagnostics import PockError, quote
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.shape import ReshapeOp, TransposeOp
from pock_ir.op import text
from pock_ir.passes.canonicalize import RULES, before_transpose, transpose
from pock_ir.passes.layout_rules import NHWC_RULES, OIHW_TO_HWIO
from pock_ir.passes.rewrite import Rule, rewrite_module
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.passes.stored_arguments import StoredArgument, permute_stored, stored_arguments

LAYOUTS = ("nhwc", "keep")
LINEAR_LAYOUTS = ("io", "oi")

HEADS = (0, 2, 1, 3)
"""Exchanges heads and positions: [B, T, H, D] <-> [B, H, T, D]."""

TRANSPOSE_RULES: Mapping[type[Operation], Sequence[Rule]] = {
    ReshapeOp: RULES[ReshapeOp],
    TransposeOp: RULES[TransposeOp],
}
"""How transposes cancel."""


@dataclass(frozen=True)
class WeightForm:
    """How ops of one class hold their weight (operand 1), and how they should."""

    op_type: type[Operation]
    old: str
    new: str
    permutation: tuple[int, ...]


CONV_WEIGHTS = WeightForm(Conv2dOp, "oihw", "hwio", OIHW_TO_HWIO)
LINEAR_WEIGHTS = WeightForm(LinearOp, "oi", "io", (1, 0))


def store_weights(module: ModuleOp, form: WeightForm) -> None:
    """Permute every stored argument that is a weight of `form` and nothing else."""
    for argument in stored_arguments(module):
        users = _weight_users(argument, form)
        if not users:
            continue
        permute_stored(argument, form.permutation)
        for user in users:
            user.properties["weight_layout"] = StringAttr(form.new)


def _weight_users(argument: StoredArgument, form: WeightForm) -> list[Operation]:
    """All users of `argument` in all functions if each uses it as a weight only, else none."""
    uses = [use for value in argument.values for use in value.uses]
    only = all(
        type(use.operation) is form.op_type
        and use.index == 1
        and text(use.operation.properties["weight_layout"]) == form.old
        for use in uses
    )
    return [use.operation for use in uses] if only else []


def attend_by_position(op: AttentionOp, emit: Emitter) -> Sequence[SSAValue] | None:
    """attention(heads first) of transposed q, k, v -> transpose(attention(positions first))"""
    if text(op.layout) != "bhtd":
        return None
    sources = [before_transpose(value, HEADS) for value in (op.q, op.k, op.v)]
    found = [source for source in sources if source is not None]
    if len(found) < len(sources):
        return None
    properties = {**op.properties, "layout": "bthd"}
    out, normalizer = emit.op(AttentionOp, *found, *op.rest, **properties).results
    return transpose(emit, out, HEADS), normalizer


@dataclass(frozen=True)
class LayOutPass(ModulePass):
    """See the module's text. Raises PockError for an unknown option."""

    name = "lay-out"

    layout: str = "nhwc"
    linear: str = "io"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        _check("layout", self.layout, LAYOUTS)
        _check("linear", self.linear, LINEAR_LAYOUTS)
        rules: dict[type[Operation], Sequence[Rule]] = {
            AttentionOp: [attend_by_position],
            **TRANSPOSE_RULES,
        }
        if self.layout == "nhwc":
            store_weights(op, CONV_WEIGHTS)
            rules.update(NHWC_RULES)
        if self.linear == "io":
            store_weights(op, LINEAR_WEIGHTS)
        rewrite_module(op, rules)
        # Two readers of one value may each have made the same transpose.
        SimplifyPass().apply(ctx, op)


def _check(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        known = ", ".join(map(quote, choices))
        raise PockError(f"{option} should be one of {known}, not {quote(value)}")
