"""`pock ops`: what is supported, forward and backward."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pock.tools.catalogue import op_rows, support_table
from pock.tools.console import Console, table
from pock.tools.exits import EXIT_OK
from pock_ir.diagnostics import PockError
from pock_ir.target import known_targets, target_named

COLUMNS = ("forward", "backward", "ops")
"""Of a framework's operators; parts of Keras become too many ops to name."""


def ops(
    console: Console, frontend: str | None, target: str | None, targets: bool, as_json: bool
) -> int:
    """Print the targets, the operators of a framework, or the ops of the IR."""
    given = {"--frontend": frontend is not None, "--target": target is not None}
    chosen = [option for option, is_given in {**given, "--targets": targets}.items() if is_given]
    if len(chosen) > 1:
        raise PockError(f"{' and '.join(chosen)} list different things: give one of them")
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
        console.json(rows if frontend is None else {"operators": rows, "counts": _counts(frontend)})
        return EXIT_OK
    header = list(rows[0])
    console.result(table([header, *([_cell(row[key]) for key in header] for row in rows)]))
    if frontend is not None:
        counts = _counts(frontend)
        console.result(
            f"{counts['supported']} are supported, {counts['with_gradients']} of them with "
            f"gradients; {counts['refused']} are refused"
        )
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
    """One row for each operator that the importer knows, or each part of Keras."""
    return [
        {"operator": name, **{key: row[key] for key in COLUMNS if key in row}}
        for name, row in support_table()[frontend].items()
    ]


def _counts(frontend: str) -> dict[str, int]:
    """How many operators of the framework are supported, how many of them backward, and not."""
    rows = support_table()[frontend].values()
    supported = [row for row in rows if row["forward"] == "yes"]
    return {
        "supported": len(supported),
        "with_gradients": sum(row["backward"] == "yes" for row in supported),
        "refused": len(rows) - len(supported) + support_table()["others"][frontend],
    }
