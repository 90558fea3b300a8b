"""Recompute cheap values in the backward pass instead of keeping them until then.

An elementwise result of the forward pass that the backward pass reads is computed again, just
before its first reader there, if everything it is computed from is in memory at that time anyway:
arguments, constants, and values that the backward pass reads in their own right. Chains of
elementwise ops and broadcasts are recomputed as a whole. Smaller memory, a little more time.

before:
    builtin.module attributes {pock.level = "train"} {
      func.func @train_step(
        %x: tensor<2x3xf32> {pock.kind = "input", pock.name = "x"},
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "w"}
      ) -> (
        tensor<f32> {pock.kind = "loss"},
        tensor<2x3xf32> {pock.kind = "gradient", pock.name = "w"}
      ) {
        %0 = nn.mul %x, %w : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %1 = nn.tanh %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
        %loss = nn.sum %1 {axes = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<f32>
        %dw = nn.mul %1, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %loss, %dw : tensor<f32>, tensor<2x3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "train"} {
      func.func @train_step(
        %x: tensor<2x3xf32> {pock.kind = "input", pock.name = "x"},
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "w"}
      ) -> (
        tensor<f32> {pock.kind = "loss"},
        tensor<2x3xf32> {pock.kind = "gradient", pock.name = "w"}
      ) {
        %0 = nn.mul %x, %w : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %1 = nn.tanh %0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
        %loss = nn.sum %1 {axes = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<f32>
        %2 = nn.mul %x, %w : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %3 = nn.tanh %2 : (tensor<2x3xf32>) -> tensor<2x3xf32>
        %dw = nn.mul %3, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %loss, %dw : tensor<f32>, tensor<2x3xf32>
      }
    }
options: rematerialize{least_bytes=0}
unchanged: every value, bit for bit.
Source: the idea is that of Chen et al., "Training Deep Nets with Sublinear Memory Cost" (arXiv
    1604.06174), restricted to ops whose recomputation costs no more than a pass over memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, OpResult, SSAValue
from xdsl.passes import ModulePass

from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp
from pock_ir.interpret import find_function
from pock_ir.passes.signature import kind_of, results_of
from pock_ir.types import num_bytes, tensor_type

LONGEST_CHAIN = 12
"""Ops that one value may cost: longer chains are no longer cheap."""

LEAST_BYTES = 16 * 1024
"""Smaller values are kept: they matter little, and each recomputation is a kernel."""


@dataclass
class Recomputation:
    """The work on one function.

    forward: the ops that the loss needs. kept: values that the backward pass finds in memory.
    position: of each op in the text.
    """

    function: FuncOp
    least_bytes: int
    forward: set[Operation] = field(default_factory=set[Operation])
    kept: set[SSAValue] = field(default_factory=set[SSAValue])
    position: dict[Operation, int] = field(default_factory=dict[Operation, int])

    def run(self) -> None:
        """Recompute what is worth it, in order of the forward pass."""
        self.forward = _needed_by_model(self.function)
        ops = list(self.function.body.block.ops)
        self.position = {op: index for index, op in enumerate(ops)}
        values = [op.results[0] for op in ops if self._is_candidate(op)]
        # What is recomputed is not kept, so it cannot serve another recomputation.
        self.kept = {
            value
            for op in ops
            for value in op.results
            if self._backward_readers(value) and value not in values
        }
        for value in values:
            chain = self._chain(value)
            if chain is None:
                self.kept.add(value)
            else:
                self._recompute(value, chain)

    def _is_candidate(self, op: Operation) -> bool:
        if not isinstance(op, ElementwiseOp) or op not in self.forward:
            return False
        value = op.results[0]
        large = num_bytes(tensor_type(value)) >= self.least_bytes
        return large and bool(self._backward_readers(value))

    def _backward_readers(self, value: SSAValue) -> list[Operation]:
        readers = dict.fromkeys(use.operation for use in value.uses)
        return [op for op in readers if op not in self.forward and not isinstance(op, ReturnOp)]

    def _chain(self, value: SSAValue) -> list[Operation] | None:
        """The ops that compute `value` from what is kept, in order; None if that is not cheap."""
        chain: dict[Operation, None] = {}
        open_values = [value]
        while open_values:
            owner = open_values.pop().owner
            if not isinstance(owner, ElementwiseOp | BroadcastOp | ConstantOp):
                return None
            chain[owner] = None
            if len(chain) > LONGEST_CHAIN:
                return None
            open_values += [operand for operand in owner.operands if not self._is_at_hand(operand)]
        return sorted(chain, key=self.position.__getitem__)

    def _is_at_hand(self, value: SSAValue) -> bool:
        """Whether the backward pass finds `value` in memory: one that no update has replaced.

        An argument that the step updates is still whole: an update waits for its readers.
        """
        if isinstance(value, BlockArgument):
            return True
        small = num_bytes(tensor_type(value)) < self.least_bytes
        return value in self.kept or (small and not _is_cheap(value))

    def _recompute(self, value: SSAValue, chain: list[Operation]) -> None:
        readers = self._backward_readers(value)
        first = min(readers, key=self.position.__getitem__)
        block = self.function.body.block
        copies: dict[SSAValue, SSAValue] = {}
        for op in chain:
            copy = op.clone(copies)
            block.insert_op_before(copy, first)
            copies.update(zip(op.results, copy.results, strict=True))
        for reader in readers:
            reader.operands = [copies[x] if x is value else x for x in reader.operands]


def _is_cheap(value: SSAValue) -> bool:
    owner = value.owner
    return isinstance(value, OpResult) and isinstance(
        owner, ElementwiseOp | BroadcastOp | ConstantOp
    )


def _needed_by_model(function: FuncOp) -> set[Operation]:
    """The ops that the loss needs; everything else of a training step is backward or update."""
    stack = [value for value, entry in results_of(function) if kind_of(entry) == "loss"]
    needed: set[Operation] = set()
    while stack:
        owner = stack.pop().owner
        if isinstance(owner, Operation) and owner not in needed:
            needed.add(owner)
            stack.extend(owner.operands)
    return needed


@dataclass(frozen=True)
class RematerializePass(ModulePass):
    """Runs `Recomputation` on @train_step.

    least_bytes: smaller values are kept.
    """

    name = "rematerialize"
    least_bytes: int = LEAST_BYTES

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        Recomputation(find_function(op, "train_step"), self.least_bytes).run()
