"""What an update scheme saves: the work of two training functions, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from pock_ir.interpret import find_function
from pock_ir.op import PockOp
from pock_ir.types import num_bytes, tensor_type


@dataclass(frozen=True)
class Work:
    """ops: how many there are. flops: as the ops count them. bytes: of all operands and results,
    each op by itself, before any fusion: what a program would move that runs op by op."""

    ops: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class Savings:
    """The work of @train_step when everything is trained, and under a scheme."""

    full: Work
    scheme: Work

    def kept(self, what: str) -> float:
        """The part of `what` ("ops", "flops" or "bytes") that is left; 1.0 if there was none."""
        before: int = getattr(self.full, what)
        after: int = getattr(self.scheme, what)
        return after / before if before else 1.0


def savings(full: ModuleOp, scheme: ModuleOp) -> Savings:
    """Compare two modules after autodiff, with or without the optimizer.

    Raises PockError if one of them has no @train_step.
    """
    return Savings(work_of(full), work_of(scheme))


def work_of(module: ModuleOp) -> Work:
    """The work of @train_step. Raises PockError if there is none."""
    block = find_function(module, "train_step").body.block
    ops = [op for op in block.ops if isinstance(op, PockOp)]
    return Work(len(ops), sum(op.flops() for op in ops), sum(map(_bytes_moved, ops)))


def _bytes_moved(op: Operation) -> int:
    values: Iterable[SSAValue] = (*op.operands, *op.results)
    return sum(num_bytes(tensor_type(value)) for value in values)
