"""What there is: ops, passes, levels and kernels, as plain rows for lists and documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation, OpDef, OptionalDef, VariadicDef

from pock.tools.passes import working_levels
from pock_ir.dialects import all_ops
from pock_ir.dialects.levels import ROWS
from pock_ir.passes.autodiff.facet import VJP, inactive
from pock_ir.registry import Option, all_passes

SUPPORT_FILE = "support.json"
"""What supports what, found by scripts/generate_docs.py with the samples of all ops."""


@dataclass(frozen=True)
class OpRow:
    """One op. gradient: "yes", "zero", or "no: " and the reason; levels: where it is legal."""

    name: str
    signature: str
    summary: str
    gradient: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class PassRow:
    """One pass. levels: where it works; after: the level it leads to, or "" if it stays."""

    name: str
    summary: str
    options: tuple[Option, ...]
    levels: tuple[str, ...]
    after: str


def op_rows() -> list[OpRow]:
    """Every op of every dialect, by name."""
    return [_op_row(op) for op in sorted(all_ops(), key=lambda op: op.name)]


def _op_row(op: type[Operation]) -> OpRow:
    summary = " ".join((op.__doc__ or "").strip().partition("\n\n")[0].split())
    return OpRow(op.name, signature(op), summary, gradient_of(op), _levels_of(op.name))


def signature(op: type[Operation]) -> str:
    """Like "(x, w) {strides, groups} -> result"; `*` follows what may occur any number of times."""
    assert issubclass(op, IRDLOperation)
    definition = op.get_irdl_definition()
    operands = ", ".join(name + _mark(item) for name, item in definition.operands)
    results = ", ".join(name + _mark(item) for name, item in definition.results)
    properties = _properties(definition)
    braces = f" {{{properties}}}" if properties else ""
    return f"({operands}){braces} -> {results or 'nothing'}"


def _properties(definition: OpDef) -> str:
    names = [name for name in definition.properties if name != "operandSegmentSizes"]
    return ", ".join(sorted(names))


def _mark(item: object) -> str:
    if isinstance(item, OptionalDef):
        return "?"
    return "*" if isinstance(item, VariadicDef) else ""


def gradient_of(op: type[Operation]) -> str:
    """Whether autodiff has a rule: "yes", "zero", "no: reason"; "" outside of training graphs."""
    if not op.name.startswith(("nn.", "train.")):
        return ""
    if VJP.has(op):
        rule: object = VJP.of(cast("type[IRDLOperation]", op).create())
        is_inactive = getattr(rule, "__qualname__", "").startswith(f"{inactive.__name__}.")
        return "zero" if is_inactive else "yes"
    return f"no: {VJP.reason_against(op) or 'no rule is known'}"


def _levels_of(name: str) -> tuple[str, ...]:
    def legal(entry: str) -> bool:
        return entry == name or (entry.endswith(".") and name.startswith(entry))

    return tuple(
        row.name
        for row in ROWS
        if any(map(legal, (*row.ops, *(e for inside in row.inside.values() for e in inside))))
    )


def pass_rows() -> list[PassRow]:
    """Every pass, by name."""
    levels = working_levels()
    return [
        PassRow(
            info.name,
            info.summary,
            info.options,
            levels[info.name],
            info.after if info.after is not None and info.after != info.before else "",
        )
        for info in all_passes().values()
    ]


@cache
def support_table() -> Mapping[str, Any]:
    """The generated table.

    "kernels": op -> target -> kernels; "torch", "jax", "tensorflow": operator -> row; "keras": part
    of Keras -> row; "others": framework -> how many of its operators are in no row, and refused.
    """
    text = (resources.files("pock.tools") / SUPPORT_FILE).read_text(encoding="utf-8")
    return json.loads(text)
