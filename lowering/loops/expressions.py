"""Fused elementwise ops as one scalar expression per value.

The body of a kernel is a small graph of tensor ops. Where they are elementwise, an element of the
result is an expression of elements of the inputs; this module composes it from the ops' own
`scalar` meanings, so nothing is stated twice.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from xdsl.ir import Operation, OpResult, SSAValue

from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, ReshapeOp
from pock_ir.location import location_of
from pock_ir.lowering.loops.updates import UPDATES
from pock_ir.scalar import Expr, arg
from pock_ir.scalar import cast as cast_to
from pock_ir.types import DType, dtype_of, shape_of


def typed_constant(op: ConstantOp) -> Expr:
    """The constant with its own dtype, whatever it meets."""
    return cast_to(Expr("const", value=op.number()), dtype_of(op.type).name)


def elementwise_results(op: Operation, args: Sequence[Expr]) -> Sequence[Expr] | None:
    """One expression per result of an elementwise or optimizer op, or None for another op."""
    if isinstance(op, ElementwiseOp):
        return [op.scalar(*args)]
    update = UPDATES.get(type(op))
    return None if update is None else update(op, args)


def is_elementwise(op: Operation) -> bool:
    """Whether `elementwise_results` knows the op."""
    return isinstance(op, ElementwiseOp) or type(op) in UPDATES


def _is_scalar_view(op: Operation) -> bool:
    """Whether `op` only repeats or reshapes a tensor of rank 0 or a splat constant."""
    if not isinstance(op, BroadcastOp | ReshapeOp):
        return False
    source = op.operands[0]
    constant = isinstance(source, OpResult) and isinstance(source.op, ConstantOp)
    return constant or shape_of(source) == ()


class Expressions:
    """Expressions of values in terms of given ones.

    `args` lists the given values that were used, in order: `Expr` argument i is element i of it.
    """

    def __init__(self, given: Container[SSAValue]) -> None:
        self._given = given
        self._known: dict[SSAValue, Expr] = {}
        self.args: list[tuple[SSAValue, DType]] = []

    @staticmethod
    def dtype(value: SSAValue) -> DType:
        return dtype_of(value)

    def of(self, value: SSAValue) -> Expr:
        """The expression of one element of `value`.

        Raises PockError naming the op that is neither given nor elementwise.
        """
        stack = [value]
        while stack:
            missing = [x for x in self._operands(stack[-1]) if x not in self._known]
            if missing and stack[-1] not in self._known:
                stack.append(missing[0])
            else:
                self._define(stack.pop())
        return self._known[value]

    def _operands(self, value: SSAValue) -> Sequence[SSAValue]:
        """What an expression of `value` is made of."""
        if value in self._given or not isinstance(value, OpResult):
            return ()
        is_known = is_elementwise(value.op) or _is_scalar_view(value.op)
        return value.op.operands if is_known else ()

    def _define(self, value: SSAValue) -> None:
        if value in self._known:
            return
        if value in self._given:
            self._known[value] = arg(len(self.args))
            self.args.append((value, dtype_of(value)))
            return
        if not isinstance(value, OpResult):
            raise PockError(f"argument {value.name_hint or ''} of a kernel body is not given")
        op = value.op
        for result, expression in zip(op.results, self._results(op), strict=True):
            self._known[result] = expression

    def _results(self, op: Operation) -> Sequence[Expr]:
        if isinstance(op, ConstantOp):
            return [typed_constant(op)]
        if _is_scalar_view(op):
            return [self._known[op.operands[0]]]
        results = None
        if is_elementwise(op):
            results = elementwise_results(op, [self._known[x] for x in op.operands])
        if results is None:
            message = f"{op.name} is not elementwise: give its result"
            raise PockError(Diagnostic(message, location_of(op)))
        return results
