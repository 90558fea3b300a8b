"""Two kernel calls as one: a body that computes first the one and then the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from xdsl.ir import Block, Operation, SSAValue

from pock_ir.dialects.kern import NONE, CallOp, YieldOp, updates_of, yielded
from pock_ir.location import fuse_locations
from pock_ir.passes.pointwise import anchor_first

Key: TypeAlias = tuple[object, ...]
Values: TypeAlias = dict[SSAValue, SSAValue]


def merge(first: CallOp, second: CallOp, keep: Sequence[int]) -> CallOp:
    """A call that computes the results `keep` of `first` and all results of `second`.

    `second` may read results of `first`, but not views of them. Operands are those of `first` and
    then those of `second` that the body needs, each once. What both bodies compute is computed
    once, and whatever can follow an anchor stands behind it. The result is not inserted anywhere.
    Results of `first` that update are among `keep`.
    """
    inner: Values = dict(zip(first.results, yielded(first), strict=True))
    outer: Values = dict(zip(first.body.block.args, first.operands, strict=True))
    outer.update(zip(second.body.block.args, second.operands, strict=True))
    # A value of either body: as an operand of the call, or as what `first` makes of it.
    outcome: Values = {
        argument: inner.get(operand, operand)
        for argument, operand in zip(second.body.block.args, second.operands, strict=True)
    }
    ends = [yielded(first)[index] for index in keep]
    ends += [outcome.get(value, value) for value in yielded(second)]
    needed = _needed(second, outcome, ends)
    needed += _needed(first, {}, [*ends, *_read(needed, outcome)])
    body = _BodyBuilder(outer, outcome)
    body.add_arguments((*first.operands, *second.operands), [*ends, *_read(needed, outcome)])
    for op in needed[::-1]:
        body.add(op)
    body.end(ends, second)
    overwritten = [_overwritten(first, index) for index in keep]
    overwritten += [_overwritten(second, index) for index in range(len(second.results))]
    updates = [NONE if value is None else body.operands.index(value) for value in overwritten]
    call = CallOp.of(body.operands, body.block, fuse_locations([first, second]), updates)
    old = [*(first.results[index] for index in keep), *second.results]
    for value, result in zip(old, call.results, strict=True):
        result.name_hint = value.name_hint
    return call


def _overwritten(call: CallOp, result: int) -> SSAValue | None:
    """The operand that a result overwrites in place."""
    operand = updates_of(call)[result]
    return None if operand == NONE else call.operands[operand]


def _read(ops: Iterable[Operation], outcome: Values) -> list[SSAValue]:
    return [outcome.get(value, value) for op in ops for value in op.operands]


def _needed(call: CallOp, outcome: Values, ends: Sequence[SSAValue]) -> list[Operation]:
    """The ops of the body that `ends` depend on, last one first."""
    wanted = set(ends)
    needed: list[Operation] = []
    for op in reversed(list(call.body.block.ops)):
        if not isinstance(op, YieldOp) and any(result in wanted for result in op.results):
            needed.append(op)
            wanted.update(outcome.get(value, value) for value in op.operands)
    return needed


class _BodyBuilder:
    """Copies ops into a new body; equal ops are copied once."""

    def __init__(self, outer: Values, outcome: Values) -> None:
        self.block = Block()
        self.operands: list[SSAValue] = []
        self._outer, self._outcome = outer, outcome
        self._copied: Values = {}
        self._known: dict[Key, Operation] = {}

    def add_arguments(self, operands: Iterable[SSAValue], read: Iterable[SSAValue]) -> None:
        """One argument for each of `operands` that one of the values `read` stands for."""
        wanted = {self._outer.get(value, value) for value in read}
        for operand in dict.fromkeys(operands):
            if operand in wanted:
                self.operands.append(operand)
                argument = self.block.insert_arg(operand.type, len(self.block.args))
                self._copied[operand] = argument

    def _value(self, value: SSAValue) -> SSAValue:
        value = self._outcome.get(value, value)
        return self._copied[self._outer.get(value, value)]

    def add(self, op: Operation) -> None:
        operands = tuple(self._value(value) for value in op.operands)
        key: Key = (type(op), operands, tuple(sorted_items(op)))
        copy = self._known.get(key)
        if copy is None:
            copy = op.clone(dict(zip(op.operands, operands, strict=True)))
            copy.location = op.location
            self.block.add_op(copy)
            self._known[key] = copy
        self._copied.update(zip(op.results, copy.results, strict=True))

    def end(self, values: Iterable[SSAValue], at: CallOp) -> None:
        """Put what an anchor needs first and what can follow it behind it, and yield `values`."""
        ops = list(self.block.ops)
        for op in ops:
            op.detach()
        self.block.add_ops(anchor_first(ops))
        results = [self._value(value) for value in values]
        self.block.add_op(YieldOp.create(operands=results, location=at.location))


def sorted_items(op: Operation) -> list[tuple[str, object]]:
    """The properties of an op by name."""
    return sorted(op.properties.items(), key=lambda item: item[0])
