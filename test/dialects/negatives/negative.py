"""One refusal, and tables of them: one valid form per op and changes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import DYNAMIC_INDEX
from xdsl.ir import Attribute

from pock_ir.op import PockOp
from pock_ir.types import tensor

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Negative:
    """An op of class `op_type` on operands of `types` that is refused with `message`."""

    op_type: type[PockOp]
    types: tuple[Attribute, ...]
    properties: Mapping[str, Any]
    message: str

    def __str__(self) -> str:
        return f"{self.op_type.name}: {self.message}"


def T(text: str) -> Attribute:
    """T("2x3xf32") is tensor<2x3xf32>; ? is a dynamic dim."""
    *sizes, element = text.split("x")
    return tensor([DYNAMIC_INDEX if size == "?" else int(size) for size in sizes], element)


Row = tuple[Mapping[int, str] | Sequence[str], Mapping[str, Any], str]


def table(op_type, valid: Sequence[str], properties: Mapping[str, Any], *rows: Row):
    """Negatives that differ from the valid form in some operands and properties.

    A row is (changed operands by number, or all of them; changed properties; message).
    """
    return [
        Negative(op_type, _changed(valid, operands), {**properties, **changes}, message)
        for operands, changes, message in rows
    ]


def _changed(valid, operands) -> tuple[Attribute, ...]:
    if isinstance(operands, Mapping):
        operands = [operands.get(index, text) for index, text in enumerate(valid)]
    return tuple(map(T, operands))
