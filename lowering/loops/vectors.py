"""Upstream's select, compare and conversion ops on vectors.

MLIR's `arith.select`, `arith.cmpf`, `arith.cmpi`, `arith.sitofp`, `arith.uitofp` and
`arith.fptosi` work on vectors; xDSL 0.74 admits scalars only. `allow_vectors` widens what xDSL's
classes accept and prints the types that MLIR prints, so that loops IR verifies here, parses back
and is read by mlir-opt. Scalar uses are unchanged.
"""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import AnyFloatConstr, IntegerType, VectorType, i1
from xdsl.ir import Attribute, Operation, OpResult, SSAValue
from xdsl.ir.core import SSAValues
from xdsl.irdl import AttrConstraint, BaseAttr, EqAttrConstraint, OperandDef, ResultDef
from xdsl.parser import Parser
from xdsl.printer import Printer

_VECTOR: AttrConstraint = BaseAttr(VectorType)
_CONDITION: AttrConstraint = EqAttrConstraint(i1) | _VECTOR
_INTEGER: AttrConstraint = BaseAttr(IntegerType) | _VECTOR
_FLOAT: AttrConstraint = AnyFloatConstr | _VECTOR


def like(shape: Attribute, element: Attribute) -> Attribute:
    """`element`, or a vector of it where `shape` is a vector type."""
    if isinstance(shape, VectorType):
        return VectorType(element, cast("VectorType[Attribute]", shape).shape)
    return element


def _widen(op_type: type[Operation], name: str, constraint: AttrConstraint) -> None:
    definition = cast(Any, op_type).get_irdl_definition()
    for fields, kind in ((definition.operands, OperandDef), (definition.results, ResultDef)):
        for index, (field, _) in enumerate(fields):
            if field == name:
                fields[index] = (field, kind(constraint))


def _retype_comparison(op_type: type[arith.CmpfOp] | type[arith.CmpiOp]) -> None:
    scalar_init = cast(Any, op_type.__init__)

    def init(self: Operation, *args: Any, **options: Any) -> None:
        scalar_init(self, *args, **options)
        wanted = like(self.operands[0].type, i1)
        if wanted != i1:
            self.results = SSAValues((OpResult(wanted, self, 0),))

    op_type.__init__ = init


def _print_select(op: arith.SelectOp, printer: Printer) -> None:
    printer.print_string(" ")
    printer.print_list(op.operands, printer.print_operand)
    printer.print_op_attributes(op.attributes)
    printer.print_string(" : ")
    if op.cond.type != i1:
        printer.print_attribute(op.cond.type)
        printer.print_string(", ")
    printer.print_attribute(op.result.type)


def _parse_select(cls: type[arith.SelectOp], parser: Parser) -> arith.SelectOp:
    operands = [parser.parse_unresolved_operand()]
    for _ in range(2):
        parser.parse_punctuation(",")
        operands.append(parser.parse_unresolved_operand())
    attributes = parser.parse_optional_attr_dict()
    parser.parse_punctuation(":")
    types: list[Attribute] = [i1, parser.parse_type()]
    if parser.parse_optional_punctuation(","):
        types = [types[1], parser.parse_type()]
    values: list[SSAValue] = list(
        parser.resolve_operands(operands, [types[0], types[1], types[1]], parser.pos)
    )
    op = cls(*values)
    op.attributes |= attributes
    return op


def allow_vectors() -> None:
    """Widen upstream's classes; a second call changes nothing.

    This touches classes of xDSL because a second class of the same name could not be parsed. A
    test fails once upstream admits vectors itself.
    """
    if getattr(arith.SelectOp, "pock_vectors", False):
        return
    _widen(arith.SelectOp, "cond", _CONDITION)
    for comparison in (arith.CmpfOp, arith.CmpiOp):
        _widen(comparison, "result", _CONDITION)
        _retype_comparison(comparison)
    for to_float in (arith.SIToFPOp, arith.UIToFPOp):
        _widen(to_float, "input", _INTEGER)
        _widen(to_float, "result", _FLOAT)
    _widen(arith.FPToSIOp, "input", _FLOAT)
    _widen(arith.FPToSIOp, "result", _INTEGER)
    select = cast(Any, arith.SelectOp)
    select.print = _print_select
    select.parse = classmethod(_parse_select)
    select.pock_vectors = True


allow_vectors()
