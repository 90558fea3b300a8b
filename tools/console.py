"""What `pock` prints: results on the output, progress and remarks on the error output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Report = Callable[[str, int, int], None]

UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


class Console:
    """verbosity: -1 prints results only, 0 also remarks and progress, 1 also details."""

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity

    def result(self, text: str) -> None:
        """Print what was asked for."""
        print(text)

    def json(self, value: Any) -> None:
        """Print a result for programs."""
        print(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))

    def remark(self, text: str) -> None:
        """Say what happened, unless -q."""
        if self.verbosity >= 0:
            print(text, file=sys.stderr)

    def detail(self, text: str) -> None:
        """Say more, with -v."""
        if self.verbosity > 0:
            print(text, file=sys.stderr)

    @contextmanager
    def progress(self, title: str) -> Iterator[Report]:
        """A progress bar while the block runs, if a person is watching.

        The block calls what it gets with a text, the number of steps done, and that of all.
        """
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield lambda text, done, total: None
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)

            def report(text: str, done: int, total: int) -> None:
                bar.update(task, description=f"{title}: {text}", completed=done, total=total)

            yield report


def human_bytes(count: int) -> str:
    """Like "1.5 MB (1572864)"; 1 KB is 1024 bytes."""
    for size, unit in UNITS:
        if count >= size:
            return f"{count / size:.4g} {unit} ({count})"
    return f"{count} bytes"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Text columns under a header row; the columns in `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)
