"""`pock check`: everything that keeps a job from compiling, at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pock.compiler import BudgetError, Job, compile_job, parse_size
from pock.frontends import optimizer_from
from pock.host import resolve_target
from pock.tools.console import Console
from pock.tools.exits import EXIT_FAILED, EXIT_OK
from pock.tools.jobs import Changes, load_job
from pock_ir.diagnostics import DiagnosticCollector, PockError
from pock_ir.passes.scheme_file import parse_update
from pock_ir.pipeline import Progress
from pock_ir.targets.c.program.text import program_name


def check(console: Console, job: str, as_json: bool, **changes: Any) -> int:
    """Compile a job in memory and print every problem. Raises PockError with all of them."""
    loaded = load_job(job, Changes(**changes))
    with console.progress("checking") as report:
        problems, over_budget = find_problems(loaded, Progress(report))
    if as_json:
        rows = [asdict(item) for item in problems.diagnostics]
        console.json({"ok": not problems, "over_budget": over_budget, "problems": rows})
        return (EXIT_FAILED if over_budget else 2) if problems else EXIT_OK
    if over_budget:
        console.result(str(PockError(*problems.diagnostics)))
        return EXIT_FAILED
    problems.raise_if_any()
    console.result(f"{loaded.name}: compiles")
    return EXIT_OK


def find_problems(job: Job, progress: Progress) -> tuple[DiagnosticCollector, bool]:
    """Every problem of `job`, and whether the only one is that it is over its budget."""
    problems = DiagnosticCollector()
    # The parts are asked one by one, so that a wrong option does not hide the gaps of the model.
    parts: tuple[Callable[[], object], ...] = (
        lambda: program_name(job.name),
        lambda: resolve_target(job.target),
        lambda: optimizer_from(job.optimizer),
        lambda: parse_update(job.update) if isinstance(job.update, str) else None,
        lambda: None if job.budget is None else parse_size(job.budget),
    )
    for part in parts:
        _collect(problems, part)
    if problems:
        from pock.frontends import import_model

        _collect(problems, lambda: import_model(job))
        return problems, False
    try:
        compile_job(job, [progress])
    except PockError as error:
        problems.extend(error)
        return problems, isinstance(error, BudgetError)
    return problems, False


def _collect(problems: DiagnosticCollector, part: Callable[[], object]) -> None:
    try:
        part()
    except PockError as error:
        problems.extend(error)
