"""`pock compile`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pock.compiler import BudgetError, Job, compile_job
from pock.program import Program
from pock.tools.commands.report import read_facts, summary
from pock.tools.console import Console
from pock.tools.exits import EXIT_OK, NegativeAnswer
from pock.tools.jobs import Changes, load_job
from pock_ir.diagnostics import PockError, quote
from pock_ir.pipeline import DumpIR, Observer, Progress


def compile_job_to(
    console: Console, job: str, output: Path, as_json: bool, dump_ir: Path | None, **changes: Any
) -> int:
    """Compile a job into `output`; exit status 1 and no files if it is over its budget."""
    observers = [] if dump_ir is None else [DumpIR(dump_ir)]
    try:
        program = compiled(console, load_job(job, Changes(**changes)), observers)
    except OSError as error:  # of the dump; nothing else has been written
        raise PockError(f"cannot write {quote(error.filename)}: {error.strerror}") from error
    program.write(output)
    facts = program.report().to_json()
    if as_json:
        console.json(facts)
    else:
        console.result(summary(read_facts(facts, "report")))
        console.remark(f"written to {output}; build the example with: make -C {output}")
    return EXIT_OK


def compiled(console: Console, job: Job, observers: Sequence[Observer] = ()) -> Program:
    """The program of `job`. Raises NegativeAnswer if it is over its budget."""
    with console.progress("compiling") as report:
        try:
            program = compile_job(job, [Progress(report), *observers])
        except BudgetError as error:
            raise NegativeAnswer(*error.diagnostics) from error
    for stage, seconds in program.report().seconds.items():
        console.detail(f"{seconds:8.3f} s  {stage}")
    return program
