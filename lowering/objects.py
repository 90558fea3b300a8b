"""The objects of a module: every tensor that outlives a step, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, StringAttr, i64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue

from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.dialects import mem
from pock_ir.location import location_of
from pock_ir.op import attribute, text
from pock_ir.passes.orders import aligned
from pock_ir.passes.signature import (
    Attributes,
    argument_attributes,
    kind_of,
    name_of,
    result_attributes,
)


class ObjectTable:
    """Objects by name, in the order in which the functions declare them.

    One that any function updates lies in the region `state`, every other in `constants`. bytes:
    of each of the two regions. Raises PockError if two functions disagree about an object, or one
    has no name.
    """

    def __init__(self, functions: Sequence[FuncOp]) -> None:
        self.bytes = {mem.STATE: 0, mem.CONSTANTS: 0}
        self.objects: list[mem.ObjectOp] = []
        self._by_name: dict[str, mem.ObjectOp] = {}
        self._errors = DiagnosticCollector()
        updated = {name for function in functions for name in _updated_names(function)}
        for function in functions:
            for value, entry in zip(function.args, argument_attributes(function), strict=True):
                if kind_of(entry) in mem.OBJECT_KINDS:
                    self._declare(function, value, entry, updated)
        self._errors.raise_if_any()

    def find(self, entry: Attributes) -> mem.ObjectOp | None:
        """The object that an argument with these attributes is; None if it is the caller's."""
        return self._by_name[name_of(entry)] if kind_of(entry) in mem.OBJECT_KINDS else None

    def _declare(
        self, function: FuncOp, value: SSAValue, entry: Attributes, updated: set[str]
    ) -> None:
        name = name_of(entry)
        known = self._by_name.get(name)
        if not name:
            self._errors.add(f"@{function.sym_name.data}: a {kind_of(entry)} has no name")
        elif known is None:
            region = mem.STATE if name in updated else mem.CONSTANTS
            self._by_name[name] = self._add(value.type, entry, region)
        elif (known.type, text(known.kind)) != (value.type, kind_of(entry)):
            self._errors.add(
                f"{quote(name)} is {text(known.kind)} {known.type} in one function and"
                f" {kind_of(entry)} {value.type} in @{function.sym_name.data}",
                location_of(function),
            )

    def _add(self, type: Attribute, entry: Attributes, region: str) -> mem.ObjectOp:
        permute = entry.get("pock.permute", DenseArrayBase.from_list(i64, []))
        offset = self.bytes[region]
        op = mem.ObjectOp.create(
            properties={
                "sym_name": StringAttr(f"object{len(self.objects)}"),
                "label": StringAttr(name_of(entry)),
                "kind": StringAttr(kind_of(entry)),
                "region": StringAttr(region),
                "offset": attribute(offset),
                "type": type,
                "permute": permute,
            }
        )
        self.objects.append(op)
        self.bytes[region] = aligned(offset + op.bytes, mem.OBJECT_ALIGNMENT)
        return op


def _updated_names(function: FuncOp) -> list[str]:
    return [name_of(entry) for entry in result_attributes(function) if kind_of(entry) == "update"]
