"""`pock ops`: what is supported, forward and backward."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pock.tools.catalogue import op_rows, support_table
from pock.tools.console import Console, table
from pock.tools.exits import EXIT_OK
from pock_ir.target import known_targets, target_named


def ops(
    console: Console, frontend: str | None, target: str | None, targets: bool, as_json: bool
) -> int:
    """Print the targets, the operators of a framework, or the ops of the IR."""
    import_module("pock_ir.targets")  # registers the declared targets
    if target is not None:
        target = target_named(target).name
    if targets:
        rows = _target_rows()
    elif frontend is not None:
        rows = _frontend_rows(frontend)
    else:
        rows = _op_rows(target)
    if as_json:
        console.json(rows)
    else:
        header = list(rows[0])
        console.result(table([header, *([_cell(row[key]) for key in header] for row in rows)]))
        others = support_table()["others"].get(frontend)
        if others is not None:
            console.result(f"{len(rows)} are supported; {others} others are refused")
    return EXIT_OK


def _cell(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _target_rows() -> list[dict[str, Any]]:
    return [{"target": item.name, "description": item.description} for item in known_targets()]


def _op_rows(target: str | None) -> list[dict[str, Any]]:
    """One row for each op that a training graph may hold."""
    kernels = support_table()["kernels"]
    chosen = [target] if target is not None else [item.name for item in known_targets()]
    rows: list[dict[str, Any]] = []
    for row in op_rows():
        if not row.gradient:
            continue
        by_target = kernels.get(row.name, {})
        if target is None:
            cells = {"targets": [name for name in chosen if by_target.get(name)]}
        else:
            cells = {"kernels": by_target.get(target, [])}
        rows.append({"op": row.name, "backward": row.gradient, **cells})
    return rows


def _frontend_rows(frontend: str) -> list[dict[str, Any]]:
    return [
        {
            "operator": name,
            "forward": row["forward"],
            "backward": row["backward"],
            "ops": row["ops"],
        }
        for name, row in support_table()[frontend].items()
    ]
