"""Remove what nobody uses, and compute what is computed twice only once.

Dead-code elimination and common-subexpression elimination over each function. Two pure ops are
the same if they have the same name, operands, properties and result types. Arguments are never
merged or removed: a parameter stays itself, whatever its value.

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<4xf32>) -> tensor<4xf32> {
        %a = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
        %b = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
        %unused = nn.tanh %b : (tensor<4xf32>) -> tensor<4xf32>
        %y = nn.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        func.return %y : tensor<4xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<4xf32>) -> tensor<4xf32> {
        %a = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
        %y = nn.add %a, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        func.return %y : tensor<4xf32>
      }
    }
unchanged: every result, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.traits import Pure

from pock_ir.location import fuse_locations

Key = tuple[
    type[Operation],
    tuple[SSAValue, ...],
    tuple[tuple[str, Attribute], ...],
    tuple[Attribute, ...],
]


def erase_dead_ops(block: Block) -> int:
    """Erase the pure ops of `block` whose results nobody uses; returns how many.

    One walk from the end is enough: an op is dead if all its users came later and are erased.
    """
    erased = 0
    for op in reversed(list(block.ops)):
        if op.has_trait(Pure) and not any(result.first_use for result in op.results):
            Rewriter.erase_op(op)
            erased += 1
    return erased


def merge_equal_ops(block: Block) -> int:
    """Replace each pure op that repeats an earlier one of `block`; returns how many.

    Ops with regions are left alone. The op that stays gets the locations of both.
    """
    known: dict[Key, Operation] = {}
    merged = 0
    for op in list(block.ops):
        if not op.has_trait(Pure) or op.regions:
            continue
        first = known.setdefault(_key(op), op)
        if first is op:
            continue
        first.location = fuse_locations((first, op))
        for old, new in zip(op.results, first.results, strict=True):
            old.replace_all_uses_with(new)
        Rewriter.erase_op(op)
        merged += 1
    return merged


def _key(op: Operation) -> Key:
    properties = tuple(sorted(op.properties.items()))
    return type(op), tuple(op.operands), properties, tuple(op.result_types)


def simplify_block(block: Block) -> None:
    """Both steps on one block, until neither finds more (merging makes nothing dead)."""
    erase_dead_ops(block)
    merge_equal_ops(block)


@dataclass(frozen=True)
class SimplifyPass(ModulePass):
    """See the module's text."""

    name = "simplify"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.ops:
            if isinstance(function, FuncOp):
                simplify_block(function.body.block)
