"""`pock verify`: does the program compute what the framework computes?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pock.manifest import load_program
from pock.program import Program
from pock.tools.commands.compile import compiled
from pock.tools.console import Console, table
from pock.tools.exits import EXIT_FAILED, EXIT_OK, NegativeAnswer
from pock.tools.jobs import Changes, load_job
from pock.tools.model_files import is_model_file
from pock.verify import TOLERANCE, Row, Verification
from pock_ir.diagnostics import Diagnostic, quote
from pock_ir.targets.c.program.header import public_ports
from pock_ir.types import Array

SHOWN = 10
"""Rows of the table that is printed; --json prints all."""


def verify(
    console: Console, what: str, job: str | None, steps: int, as_json: bool, **changes: Any
) -> int:
    """Verify a job, a folder, or a folder against its job; exit status 1 on a difference."""
    folder = Path(what)
    is_job = ":" in what or is_model_file(what) or folder.is_file()
    is_folder = folder.is_dir() or not is_job
    if is_folder and job is None:
        return _check_folder(console, folder, as_json)
    stored = load_program(folder) if is_folder else None
    loaded = load_job(job if is_folder and job is not None else what, Changes(**changes))
    program = compiled(console, loaded)
    if stored is not None:
        _check_same(folder, stored, program)
    verification = program.verify(steps)
    if as_json:
        console.json(_finite(verification.to_json()))
    else:
        console.result(_text(verification))
    return EXIT_OK if verification.passed else EXIT_FAILED


def _finite(value: Any) -> Any:
    """`value` with NaN and infinity as texts: JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _text(verification: Verification) -> str:
    differing = verification.differing()
    rows = sorted(verification.rows, key=lambda row: -row.error)[:SHOWN]
    shown = differing[:SHOWN] or rows
    header = ["step", "what", "tensor", "error", "pock to f64", "framework to f64"]
    lines = [table([header, *map(_cells, shown)], right=[0, 3, 4, 5])]
    lines += _repeated(shown)
    count = len(verification.rows)
    if verification.passed:
        lines.append(f"all {count} tensors agree (tolerance {TOLERANCE:g}); shown: largest errors")
    else:
        first = differing[0] if differing else None
        where = f"; the first: {first.kind} {first.name} in step {first.step}" if first else ""
        lines.append(f"{len(differing)} of {count} tensors differ{where}")
    if verification.ratio is not None:
        lines.append(
            f"{len(verification.repeated())} tensors were judged by repeated runs: pock's median "
            f"error is {verification.ratio:.2f} times the framework's (geometric mean)"
        )
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    errors = (row.error, row.own, row.framework)
    return [str(row.step), row.kind, row.name, *(f"{error:.2e}" for error in errors)]


def _repeated(rows: Sequence[Row]) -> list[str]:
    """A table of those of `rows` that were judged by repeated runs, if there are any."""
    cells = [
        [
            *(str(row.step), row.kind, row.name),
            *(f"{median:.2e}" for median in row.repeated.medians),
            f"{row.repeated.exceedance:.2f}",
            f"{row.repeated.chance:.1e}",
        ]
        for row in rows
        if row.repeated is not None
    ]
    if not cells:
        return []
    header = [
        *("step", "what", "tensor", "pock's median", "framework's median"),
        *("P(pock's is larger)", "chance"),
    ]
    return ["", table([header, *cells], right=[0, 3, 4, 5, 6]), ""]


def _check_same(folder: Path, stored: Program, program: Program) -> None:
    """Raise NegativeAnswer if the folder does not hold exactly what the job compiles to."""
    paths = sorted(set(stored.files) | set(program.files))
    problems = [
        Diagnostic("the job now compiles to another file", str(folder / path))
        for path in paths
        if stored.files.get(path) != program.files.get(path)
    ]
    if problems:
        raise NegativeAnswer(*problems)


def _check_folder(console: Console, folder: Path, as_json: bool) -> int:
    """Check the files of a folder and run one training step of it on random data."""
    program = load_program(folder)
    entry = program.layout.entry("train_step")
    loss = None
    if entry is not None:
        ports = [port for port in public_ports(entry) if not port.is_result]
        loss = program.step(*(_random(p.spec.shape, p.spec.dtype.numpy) for p in ports))
        if not np.isfinite(loss):
            raise NegativeAnswer(f"one step of {quote(folder)} on random data gives loss {loss}")
    count = len(program.files)
    if as_json:
        console.json({"passed": True, "files": count, "loss": loss, "compared": False})
    else:
        console.result(f"{count} files are as they were written; one step runs, loss {loss}")
        console.remark("not compared with a framework: give --job FILE.py:NAME for that")
    return EXIT_OK


def _random(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Normal floats; integers are 0, which every index accepts."""
    if dtype.kind in "biu":
        return np.zeros(shape, dtype)
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)
