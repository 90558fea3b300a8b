"""The kernel level: which ops run together as one kernel, and which kernel that is.

A `kern.call` says in its body what it computes, with the ops of the levels above, and in its
property `kernel` how. Calls are values in, values out: memory is decided one level below.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

from xdsl.dialects.builtin import DenseArrayBase, LocationAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsolatedFromAbove, IsTerminator

from pock_ir.dialects.fields import integers_property
from pock_ir.interpret import run_block
from pock_ir.op import PockOp, attribute, ints, require, text
from pock_ir.types import Array, Tensor, num_bytes

NONE = -1
"""In `updates` and `reuses`: no operand."""

NO_KERNEL = ""
"""The `kernel` of a call for which none is chosen yet."""


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the body of a `kern.call` or `mem.kernel`; its operands are the results."""

    name = "kern.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())
    assembly_format = "($values^ `:` type($values))? attr-dict"


@irdl_op_definition
class CallOp(PockOp):
    """Runs the body as one kernel.

    kernel: the name of a kernel of the module's target, or "" while none is chosen.
    updates[i]: the operand that result i must overwrite in place, or -1. The body then says what
        the memory of that operand holds afterwards; whatever else reads the operand runs before.
    reuses[i]: the operand whose memory result i may take if nothing reads it later, or -1.

    Both arrays have one entry per result; an operand that is named has as many bytes as the
    result, and no two results of one array name the same.
    """

    name = "kern.call"
    ins = var_operand_def()
    outs = var_result_def()
    kernel = prop_def(StringAttr)
    updates = integers_property()
    reuses = integers_property()
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove())
    assembly_format = "operands attr-dict `:` functional-type(operands, results) $body"

    @staticmethod
    def of(
        operands: Sequence[SSAValue],
        block: Block,
        location: LocationAttr,
        updates: Sequence[int] | None = None,
    ) -> CallOp:
        """A call of `block`, which has one argument per operand and ends in a `kern.yield`."""
        none = [NONE] * len(terminator(block).operands)
        return CallOp.make(
            *operands,
            location=location,
            regions=[Region(block)],
            kernel=NO_KERNEL,
            updates=_places(tuple(none if updates is None else updates)),
            reuses=_places(tuple(none)),
        )

    def infer(self) -> Sequence[Attribute]:
        return [value.type for value in terminator(self.body.block).operands]

    def verify_(self) -> None:
        block = self.body.block
        super().verify_()
        wanted = [operand.type for operand in self.operands]
        found = [argument.type for argument in block.args]
        require(wanted == found, "kern.call: the body's arguments should have the operands' types")
        for op in block.ops:
            allowed = isinstance(op, YieldOp) or (isinstance(op, PockOp) and not op.regions)
            require(allowed, f"kern.call: the body may not contain {op.name}")
        self._verify_places("updates", self.updates)
        self._verify_places("reuses", self.reuses)

    def _verify_places(self, what: str, attr: Attribute) -> None:
        places = ints(attr)
        require(
            len(places) == len(self.results),
            f"kern.call: {what} should have {len(self.results)} entries, not {len(places)}",
        )
        named = [place for place in places if place != NONE]
        require(len(set(named)) == len(named), f"kern.call: {what} names an operand twice")
        for index, place in enumerate(places):
            if place == NONE:
                continue
            require(0 <= place < len(self.operands), f"kern.call: {what} has no operand {place}")
            have = num_bytes(cast(Tensor, self.operands[place].type))
            need = num_bytes(cast(Tensor, self.results[index].type))
            require(
                have == need,
                f"kern.call: {what}: result {index} has {need} bytes, operand {place} has {have}",
            )

    def evaluate(self, *args: Array) -> list[Array]:
        return run_block(self.body.block, args)

    def flops(self) -> int:
        """The sum over the body."""
        return sum(op.flops() for op in body_ops(self))


@lru_cache(maxsize=1 << 12)
def _places(operands: tuple[int, ...]) -> Attribute:
    # Nearly all calls have one of a few such lists, and building one takes longer than all else.
    return attribute(operands)


def terminator(block: Block) -> YieldOp:
    """The `kern.yield` of a body. Raises VerifyException if it does not end in one."""
    last = block.last_op
    require(isinstance(last, YieldOp), "kern.call: the body should end in kern.yield")
    return cast(YieldOp, last)


def body_ops(call: CallOp) -> list[PockOp]:
    """The ops of the body in order, without the terminator."""
    return [op for op in call.body.block.ops if isinstance(op, PockOp)]


def yielded(call: CallOp) -> Sequence[SSAValue]:
    """The values inside the body that become the results."""
    return terminator(call.body.block).operands


def updates_of(call: CallOp) -> tuple[int, ...]:
    """For each result the operand that it overwrites, or -1."""
    return ints(call.updates)


def reuses_of(call: CallOp) -> tuple[int, ...]:
    """For each result the operand whose memory it may take, or -1."""
    return ints(call.reuses)


def describe(call: CallOp) -> str:
    """What a message calls this call: the ops of its body, "nn.linear + nn.add + nn.relu"."""
    return " + ".join(op.name for op in body_ops(call)) or "a copy"


def meaning_key(call: CallOp) -> str:
    """A text that two calls share if and only if they compute the same and update the same.

    It does not depend on names of values, locations, the chosen kernel or `reuses`.
    """
    block = call.body.block
    number: dict[SSAValue, int] = {value: index for index, value in enumerate(block.args)}
    lines = [_types(block.args)]
    for op in block.ops:
        lines.append(_line(op, number))
        for result in op.results:
            number[result] = len(number)
    lines.append(_attribute_text(call.updates))
    return "\n".join(lines)


def structural_key(call: CallOp) -> str:
    """`meaning_key` with the kernel and `reuses`: equal calls can share one generated function."""
    return f"{text(call.kernel)} {_attribute_text(call.reuses)}\n{meaning_key(call)}"


def _line(op: Operation, number: dict[SSAValue, int]) -> str:
    properties = " ".join(f"{k}={_attribute_text(v)}" for k, v in sorted(op.properties.items()))
    operands = ",".join(str(number[operand]) for operand in op.operands)
    return f"{op.name}({operands}){{{properties}}}:{_types(op.results)}"


def _types(values: Iterable[SSAValue]) -> str:
    return ",".join(_attribute_text(value.type) for value in values)


@lru_cache(maxsize=1 << 14)
def _attribute_text(attribute: Attribute | DenseArrayBase[Any]) -> str:
    return str(attribute)
