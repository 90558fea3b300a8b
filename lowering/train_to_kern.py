"""Make every op a kernel call of its own; constants and broadcasts move into their readers.

A reshape stays outside: it is a view of the same memory. A constant, iota or broadcast has a call
of its own only where it has to be in memory, because a reader cannot absorb it. An optimizer
update overwrites its weight and its state.

before:
    builtin.module attributes {pock.level = "train", pock.target = "reference"} {
      func.func @f(%x: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
        %r = nn.broadcast %b {shape = array<i64: 2, 3>, axes = array<i64: 1>} : (tensor<3xf32>)
            -> tensor<2x3xf32>
        %y = nn.add %x, %r : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %y : tensor<2x3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
        %y = kern.call %x, %b {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>} :
            (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32> {
        ^bb0(%0: tensor<2x3xf32>, %1: tensor<3xf32>):
          %r = nn.broadcast %1 {shape = array<i64: 2, 3>, axes = array<i64: 1>} :
              (tensor<3xf32>) -> tensor<2x3xf32>
          %y_1 = nn.add %0, %r : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
          kern.yield %y_1 : tensor<2x3xf32>
        }
        func.return %y : tensor<2x3xf32>
      }
    }
unchanged: every value, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.kern import NONE, CallOp, YieldOp
from pock_ir.dialects.optimizer import AdamOp, LionOp, MomentumOp, SgdOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.shape import BroadcastOp, ReshapeOp
from pock_ir.op import PockOp
from pock_ir.passes.pointwise import GENERATORS

ABSORBERS: tuple[type[Operation], ...] = (
    ElementwiseOp,
    BroadcastOp,
    MaxOp,
    MeanOp,
    MinOp,
    ProdOp,
    SumOp,
)
"""Ops that read each element at one place of their loops, where it can be generated."""

UPDATED: Mapping[type[Operation], tuple[str, ...]] = {
    SgdOp: ("w",),
    MomentumOp: ("w", "buf"),
    AdamOp: ("w", "m", "v"),
    LionOp: ("w", "m"),
}
"""For each result of an optimizer op the operand that it overwrites."""


class _Body:
    """The body of a call while it is built: which outer value is which argument."""

    def __init__(self) -> None:
        self.block = Block()
        self.operands: list[SSAValue] = []
        self._inner: dict[SSAValue, SSAValue] = {}

    def add(self, op: Operation, absorb: bool) -> Operation:
        """Copy `op` into the body; its operands become arguments, or copied generators."""
        mapping = {operand: self._value(operand, absorb) for operand in op.operands}
        copy = op.clone(mapping)
        copy.location = op.location
        self.block.add_op(copy)
        return copy

    def _value(self, outer: SSAValue, absorb: bool) -> SSAValue:
        if outer not in self._inner:
            owner = outer.owner
            if absorb and isinstance(owner, GENERATORS):
                self._inner[outer] = self.add(owner, absorb).results[0]
            else:
                self.operands.append(outer)
                self._inner[outer] = self.block.insert_arg(outer.type, len(self.block.args))
        return self._inner[outer]

    def index(self, outer: SSAValue) -> int:
        return self.operands.index(outer)


def wrap(op: PockOp) -> CallOp:
    """A call that computes `op`, and the generators that it reads if it can absorb them."""
    body = _Body()
    copy = body.add(op, absorb=isinstance(op, ABSORBERS))
    end = YieldOp.create(operands=copy.results, location=op.location)
    body.block.add_op(end)
    return CallOp.of(body.operands, body.block, op.location, _updates(op, body))


def _updates(op: Operation, body: _Body) -> list[int]:
    """The call's operands that `op` overwrites; each at most once, as each is one memory."""
    updates = [NONE] * len(op.results)
    for result, operand in enumerate(UPDATED.get(type(op), ())):
        index = body.index(getattr(op, operand))
        if index not in updates:
            updates[result] = index
    return updates


def lower_function(function: FuncOp) -> None:
    """Wrap every op of `function` that is not a view."""
    block = function.body.block
    for op in list(block.ops):
        if isinstance(op, ReshapeOp) or not isinstance(op, PockOp) or isinstance(op, CallOp):
            continue
        if isinstance(op, GENERATORS) and _is_absorbed(op):
            continue
        _replace(op, wrap(op))
    for op in reversed(list(block.ops)):
        if isinstance(op, GENERATORS):
            op.detach()
            op.erase()


def _is_absorbed(op: Operation) -> bool:
    """Whether no reader needs the result of this generator in memory."""
    return all(isinstance(use.operation, ABSORBERS) for use in op.results[0].uses)


def _replace(op: Operation, call: CallOp) -> None:
    block = op.parent
    assert block is not None
    block.insert_op_before(call, op)
    keep_generator = isinstance(op, GENERATORS)
    for old, new in zip(op.results, call.results, strict=True):
        new.name_hint = old.name_hint
        if keep_generator:
            old.replace_uses_with_if(new, lambda use: not isinstance(use.operation, ABSORBERS))
        else:
            old.replace_all_uses_with(new)
    if not keep_generator:
        op.detach()
        op.erase()


@dataclass(frozen=True)
class TrainToKernPass(ModulePass):
    """Wraps every op but views in a `kern.call`; see the module's text."""

    name = "train-to-kern"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.ops:
            if isinstance(function, FuncOp):
                lower_function(function)
        op.attributes["pock.level"] = StringAttr("kern")
