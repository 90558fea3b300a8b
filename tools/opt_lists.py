"""The lists of `pock-opt`."""

from __future__ import annotations

from pock.tools.catalogue import op_rows, pass_rows
from pock_ir.dialects.levels import LEVELS

WIDTH = 24


def levels_text() -> str:
    """Every level in order, with what it is."""
    return "\n".join(f"{level.name:{WIDTH}}{level.description}" for level in LEVELS)


def passes_text() -> str:
    """Every pass with its levels and options."""
    lines: list[str] = []
    for row in pass_rows():
        levels = ",".join(row.levels) + (f" -> {row.after}" if row.after else "")
        lines.append(f"{row.name:{WIDTH}}[{levels or 'any'}] {row.summary}")
        for option in row.options:
            default = (
                "must be given" if option.default is None else f"default {option.default or 'none'}"
            )
            lines.append(f"{'':{WIDTH}}  {option.name}: {option.type}, {default}")
    return "\n".join(lines)


def ops_text() -> str:
    """Every op with its signature."""
    return "\n".join(f"{row.name:{WIDTH + 8}}{row.signature}" for row in op_rows())
