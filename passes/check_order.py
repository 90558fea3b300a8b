"""Check that the calls of a function are in an order in which updates in place are sound.

This does not trust `schedule`: it runs each function on paper. A call may read a value only while
that is what the memory holds; an update ends the life of the value that it overwrites.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
    }
unchanged: everything; a wrong order raises PockError.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.dialects.kern import CallOp, describe, updates_of
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.location import location_of
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, results_of


class _Paper:
    """What each piece of memory holds at one point of a function; places are named by values."""

    def __init__(self, function: FuncOp, errors: DiagnosticCollector) -> None:
        entries = argument_attributes(function)
        named = {name_of(entry): v for v, entry in zip(function.args, entries, strict=True)}
        self.errors = errors
        self.place: dict[SSAValue, SSAValue] = {value: value for value in function.args}
        self.holds: dict[SSAValue, SSAValue] = dict(self.place)
        self.ends_in = {
            _viewed(value): named[name_of(entry)]
            for value, entry in reversed(results_of(function))
            if kind_of(entry) == "update"
        }

    def read(self, value: SSAValue, reader: Operation, what: str) -> None:
        """A value may be read once it is made and until its memory holds another."""
        base = _viewed(value)
        if base not in self.place:
            self.errors.add(f"{what} reads a value that is not made yet", location_of(reader))
        elif self.holds[self.place[base]] is not base:
            self.errors.add(f"{what} reads a value that is overwritten", location_of(reader))

    def run(self, call: CallOp) -> None:
        for operand in call.operands:
            self.read(operand, call, describe(call))
        for result, operand in zip(call.results, updates_of(call), strict=True):
            if operand < 0:
                self.place[result] = self.ends_in.get(result, result)
            else:
                updated = _viewed(call.operands[operand])
                self.place[result] = self.place.get(updated, updated)
            self.holds[self.place[result]] = result


def _viewed(value: SSAValue) -> SSAValue:
    while isinstance(value.owner, ReshapeOp):
        value = value.owner.x
    return value


def check_order(module: ModuleOp) -> None:
    """Raise PockError that lists every read of a value that is overwritten or not made yet."""
    errors = DiagnosticCollector()
    for function in module.ops:
        if not isinstance(function, FuncOp):
            continue
        paper = _Paper(function, errors)
        for op in function.body.block.ops:
            if isinstance(op, CallOp):
                paper.run(op)
        for value, _ in results_of(function):
            paper.read(value, function, f"the end of @{function.sym_name.data}")
    errors.raise_if_any()


@dataclass(frozen=True)
class CheckOrderPass(ModulePass):
    """Runs `check_order`."""

    name = "check-order"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        check_order(op)
