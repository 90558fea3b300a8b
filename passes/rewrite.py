"""Applies local rules to a function until none fires, with fuel so that it always ends.

A rule looks at one op and either declines or builds a replacement before it. Ops that a
replacement may have made rewritable (new ops, users, producers) are looked at again; ops that
nobody uses any more are erased.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.traits import Pure

from pock_ir.build import Emitter
from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.location import location_of

Op = TypeVar("Op", bound=Operation)

Rule = Callable[[Any, Emitter], Sequence[SSAValue] | SSAValue | None]
"""(op, emit) -> one value for each result of op, or None. Must not change anything if None."""

Rules = Mapping[type[Operation], Sequence[Rule]]
"""Rules by op class; those of a base class hold for its subclasses too."""

FUEL_PER_OP = 64
"""How many rewrites one op may cause on average. Real graphs need about one for each op."""


class _Recorder(Emitter):
    """An emitter that remembers what it inserted."""

    def __init__(self, op: Operation) -> None:
        super().__init__(InsertPoint.before(op), op.location)
        self.inserted: list[Operation] = []

    def insert(self, op: Op) -> Op:
        self.inserted.append(op)
        return super().insert(op)


def rewrite_module(module: ModuleOp, rules: Rules) -> int:
    """Apply `rules` to every function; returns how often one fired. See `rewrite_block`."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    return sum(rewrite_block(function.body.block, rules) for function in functions)


def rewrite_block(block: Block, rules: Rules) -> int:
    """Apply `rules` to the ops of `block` until none fires; returns how often one fired.

    Raises PockError that names the rule which fires most if the fuel runs out: two rules then
    undo each other.
    """
    return _Walk(block, rules).run()


class _Walk:
    def __init__(self, block: Block, rules: Rules) -> None:
        self._rules = rules
        self._by_type: dict[type[Operation], list[Rule]] = {}
        self._queue = deque(block.ops)
        self._queued = set(self._queue)
        self._fuel = FUEL_PER_OP * (len(self._queue) + 1)
        self._fired: Counter[str] = Counter()

    def run(self) -> int:
        while self._queue:
            op = self._queue.popleft()
            self._queued.discard(op)
            if op.parent is None:
                continue
            if op.has_trait(Pure) and not any(result.first_use for result in op.results):
                self._erase(op)
            else:
                self._apply(op)
        return self._fired.total()

    def _push(self, op: object) -> None:
        if isinstance(op, Operation) and op not in self._queued:
            self._queued.add(op)
            self._queue.append(op)

    def _erase(self, op: Operation) -> None:
        owners = [operand.owner for operand in op.operands]
        Rewriter.erase_op(op)
        for owner in owners:
            self._push(owner)

    def _apply(self, op: Operation) -> None:
        for rule in self._rules_of(type(op)):
            emit = _Recorder(op)
            outcome = rule(op, emit)
            if outcome is None:
                continue
            self._spend(rule, op)
            values = [outcome] if isinstance(outcome, SSAValue) else list(outcome)
            self._replace(op, values)
            for inserted in emit.inserted:
                self._push(inserted)
            return

    def _replace(self, op: Operation, values: Sequence[SSAValue]) -> None:
        for old, new in zip(op.results, values, strict=True):
            if old.type != new.type:
                raise AssertionError(f"{op.name}: {old.type} was to be replaced by {new.type}")
            users = [use.operation for use in old.uses]
            old.replace_all_uses_with(new)
            self._push(new.owner)
            for user in users:
                self._push(user)
        self._erase(op)

    def _rules_of(self, op_type: type[Operation]) -> list[Rule]:
        if op_type not in self._by_type:
            bases = [base for base in op_type.__mro__ if base in self._rules]
            self._by_type[op_type] = [rule for base in bases for rule in self._rules[base]]
        return self._by_type[op_type]

    def _spend(self, rule: Rule, op: Operation) -> None:
        self._fired[getattr(rule, "__name__", repr(rule))] += 1
        self._fuel -= 1
        if self._fuel < 0:
            name, count = self._fired.most_common(1)[0]
            message = f"rewriting does not end: rule {name} fired {count} times"
            raise PockError(Diagnostic(message, location_of(op), "report this graph"))
