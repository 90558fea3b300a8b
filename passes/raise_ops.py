"""Recognise whole ops in graphs that a framework has taken apart.

Softmax and its logarithm, activations, norms and attention, in the forms in which frameworks and
people write them: see the tables in `raising`. Gradients, kernels and layouts then know the op as
a whole. What fits no pattern stays decomposed, which is just as correct. One walk from the
first op to the last: what is raised may be part of a larger pattern further down.

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
        %highest = nn.max %x {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2xf32>
        %peak = nn.broadcast %highest {shape = array<i64: 2, 3>, axes = array<i64: 0>}
          : (tensor<2xf32>) -> tensor<2x3xf32>
        %shifted = nn.sub %x, %peak : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %powers = nn.exp %shifted : (tensor<2x3xf32>) -> tensor<2x3xf32>
        %sum = nn.sum %powers {axes = array<i64: 1>} : (tensor<2x3xf32>) -> tensor<2xf32>
        %total = nn.broadcast %sum {shape = array<i64: 2, 3>, axes = array<i64: 0>}
          : (tensor<2xf32>) -> tensor<2x3xf32>
        %y = nn.div %powers, %total : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %y : tensor<2x3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
        %y = nn.softmax %x {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
        func.return %y : tensor<2x3xf32>
      }
    }
unchanged: every result and gradient up to rounding, also at kinks. Not so where the decomposed
    form overflows on the way: e^x / (1 + e^x) is NaN for a large x, sigmoid is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.traits import Pure

from pock_ir.passes.raising import activations, affine, attention, means, norms, softmax
from pock_ir.passes.raising.table import Found, Raise
from pock_ir.passes.raising.views import whole
from pock_ir.types import shape_of

Rows = Mapping[type[Operation], Sequence[Raise]]
"""Rows by the class of their root, in the order in which they are tried."""


@cache
def all_rows(fast_variance: bool) -> tuple[Raise, ...]:
    """The rows of all tables."""
    return (
        *means.ROWS,
        *softmax.ROWS,
        *activations.ROWS,
        *norms.rows(fast_variance),
        *affine.ROWS,
        *attention.ROWS,
    )


def by_root(rows: Sequence[Raise], present: Set[type[Operation]]) -> Rows:
    """The rows that may fit in a block of ops of the classes `present`."""
    found: dict[type[Operation], list[Raise]] = {}
    for row in rows:
        if row.pattern.may_fit(present):
            for root in row.roots:
                found.setdefault(root, []).append(row)
    return found


def raise_block(block: Block, rows: Sequence[Raise]) -> list[str]:
    """Raise what fits in `block`; returns the names of the rows that fired.

    Rows are looked up by the class of the op, and how far a pattern looks does not depend on the
    graph: the time is linear in the number of ops. Most rows fit nothing in most graphs, which
    the classes of their ops tell beforehand.
    """
    ops = list(block.ops)
    present: set[type[Operation]] = {type(op) for op in ops}
    table = by_root(rows, present)
    fired: list[str] = []
    for op in ops:
        root: Operation | None = op
        while root is not None and root.parent is not None:
            done = raise_op(root, table.get(type(root), ()))
            root = None if done is None else done.result
            if done is None:
                continue
            fired.append(done.row.name)
            if not done.made <= present:
                present |= done.made
                table = by_root(rows, present)
    return fired


@dataclass(frozen=True)
class Done:
    """Which row fired, the op of the new result, and the classes of all ops that were made."""

    row: Raise
    result: Operation | None
    made: Set[type[Operation]]


def raise_op(op: Operation, rows: Sequence[Raise]) -> Done | None:
    """Replace the result of `op` by the first row that fits; what only served it is erased."""
    for row in rows:
        for captures in row.pattern.fits(whole(op.results[0]), shape_of(op.results[0]), {}):
            found = Found(op, captures)
            value = row.build(found)
            if value is None:
                continue
            for old, new in ((op.results[0], value), *found.same):
                _replace(old, new)
            _erase_dead([op, *(old.owner for old, _ in found.same)])
            result = value.owner if isinstance(value.owner, Operation) else None
            return Done(row, result, found.emit.made)
    return None


def _replace(old: SSAValue, new: SSAValue) -> None:
    if old.type != new.type:
        raise AssertionError(f"{old.type} was to be replaced by {new.type}")
    old.replace_all_uses_with(new)


def _erase_dead(pending: list[Operation | Block]) -> None:
    """Erase the pure ops among `pending` that nobody uses, and what then nobody uses."""
    while pending:
        op = pending.pop()
        if not isinstance(op, Operation) or op.parent is None or not op.has_trait(Pure):
            continue
        if any(result.first_use for result in op.results):
            continue
        pending.extend(operand.owner for operand in op.operands)
        Rewriter.erase_op(op)


@dataclass(frozen=True)
class RaiseOpsPass(ModulePass):
    """See the module's text. fast_variance: whether E[x^2] - E[x]^2 counts as a variance."""

    name = "raise-ops"

    fast_variance: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rows = all_rows(self.fast_variance)
        for function in op.ops:
            if isinstance(function, FuncOp):
                raise_block(function.body.block, rows)
