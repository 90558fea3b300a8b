"""The rows of the census in `census.json`, and the page that they render to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.census.one import AGREES, FAILED, REFUSED
from benchmarks.census.sources import SOURCES
from pock.verify import TOLERANCE

Row = Mapping[str, Any]
Rows = Mapping[str, Row]

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(__file__).resolve().parent / "census.json"
PAGE = ROOT / "docs" / "census.md"

REFRESH = "python -m benchmarks.census"

INTRODUCTION = f"""\
<!-- Written by {REFRESH}: do not edit. -->
# Census of models

Each model below is compiled as its package defines it, with random weights, few layers or channels
and small inputs, and trained for one step from generated C. The loss, every gradient and every
updated tensor are compared with the framework as [numerics.md](numerics.md#verification) says; or
the model is refused, and its row lists every reason. *Failed* would be a bug.

    pip install -c constraints.txt -e '.[torch,jax,jax-models,keras,census]'
    {REFRESH}

`--only 'timm/*'` runs some of them and keeps the rows of the others; `--check` runs nothing and
says whether the table is complete. The packages are an extra of their own, which `make` does not
install: torchvision's wheel is a build for GPUs, which works beside PyTorch's CPU build here.
"""

COLUMNS = ("model", "frontend", "parameters", "tensors", "worst error", "judged by")


def read() -> dict[str, dict[str, Any]]:
    """The stored rows by "source/name"; none before the first run."""
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}


def write(rows: Rows) -> None:
    """Store `rows`, one to a line, and the page."""
    lines = [f"{json.dumps(n)}: {json.dumps(r, allow_nan=False)}" for n, r in sorted(rows.items())]
    DATA.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    PAGE.write_text(render(rows), encoding="utf-8")


def problems(rows: Rows, models: Sequence[str]) -> list[str]:
    """What keeps the stored table from being complete, as a list for people to read."""
    current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == render(rows)
    found = [] if current else [f"{PAGE.name} is not what {DATA.name} renders to"]
    found += [f"{name}: no row" for name in models if name not in rows]
    found += [f"{name}: there is no such model any more" for name in rows if name not in models]
    return found + [f"{name}: failed" for name in rows if rows[name]["verdict"] == FAILED]


def render(rows: Rows) -> str:
    """The page: counts, versions, and one table of each source for each verdict."""
    parts = [INTRODUCTION, _counts(rows), _versions(rows)]
    for source in SOURCES:
        own = {n.partition("/")[2]: r for n, r in sorted(rows.items()) if _is_of(source.name, n)}
        if own:
            parts.append(f"## {source.name}\n")
            parts += [_agreeing(own), _refused(own), _failed(own)]
    return "\n".join(part for part in parts if part)


def _is_of(source: str, name: str) -> bool:
    return name.partition("/")[0] == source


def _of(rows: Rows, verdict: str) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if row["verdict"] == verdict}


def _counts(rows: Rows) -> str:
    verdicts = (AGREES, REFUSED, FAILED)
    lines = [_line(("source", "models", *verdicts)), _line(["---"] * 5)]
    for source in (*(source.name for source in SOURCES), "all"):
        own = {n: r for n, r in rows.items() if source == "all" or _is_of(source, n)}
        counts = Counter(row["verdict"] for row in own.values())
        lines.append(_line((source, len(own), *(counts[verdict] for verdict in verdicts))))
    return "\n".join(lines) + "\n"


def _versions(rows: Rows) -> str:
    found = sorted({pair for row in rows.values() for pair in row["versions"].items()})
    return "Versions: " + ", ".join(f"{name} {version}" for name, version in found) + ".\n"


def _agreeing(rows: Rows) -> str:
    chosen = _of(rows, AGREES)
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line((*_start(n, row), row["tensors"], *_judged(row))) for n, row in chosen.items()]
    return "\n".join(lines) + "\n" if chosen else ""


def _start(name: str, row: Row) -> tuple[Any, ...]:
    count = row.get("parameters")
    return name, row.get("frontend", "-"), "-" if count is None else f"{count:,}"


def _judged(row: Row) -> tuple[str, str]:
    """The largest relative error, and the rules of verification that settled the tensors."""
    worst = max(row[f"worst_{kind}"]["error"] for kind in ("loss", "gradient", "updated"))
    rules = [f"{row['within']} within {TOLERANCE:.0e}".replace("e-0", "e-")]
    if row["closer"]:
        rules.append(f"{row['closer']} closer to float64 than the framework")
    if row["repeated"]:
        rules.append(f"{row['repeated']} over {row['runs']} more runs")
    return f"{worst:.1e}", "; ".join(rules)


def _refused(rows: Rows) -> str:
    return _with_reasons(_of(rows, REFUSED), "refused because of")


def _failed(rows: Rows) -> str:
    return _with_reasons(_of(rows, FAILED), "failed")


def _with_reasons(rows: Rows, title: str) -> str:
    columns = ("model", "frontend", "parameters", title)
    lines = [_line(columns), _line(["---"] * len(columns))]
    for name, row in rows.items():
        lines.append(_line((*_start(name, row), "<br>".join(map(_escaped, row["reasons"])))))
    return "\n".join(lines) + "\n" if rows else ""


def _escaped(reason: str) -> str:
    """A reason as the text of a cell: what Markdown would read as syntax is escaped."""
    for character in "\\|<*_`":
        reason = reason.replace(character, f"\\{character}")
    return reason


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
