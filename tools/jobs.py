"""Loading a job from a user's Python file, and changing it by options."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pock_ir.diagnostics import Diagnostic, PockError, one_line, quote

if TYPE_CHECKING:
    from pock.compiler import Job

DEFAULT_RATES: Mapping[str, float] = {"adam": 1e-3, "adamw": 1e-3}
"""Initial learning rates where none is given; others start at 0.01."""


@dataclass(frozen=True)
class Changes:
    """Options that replace fields of a job; None keeps what the job says."""

    update: str | None = None
    optimizer: str | None = None
    target: str | None = None
    threads: int | None = None
    name: str | None = None
    budget: str | None = None
    layout: str | None = None
    recompute: str | None = None
    loss: str | None = None
    seed: int | None = None


def split_job(text: str) -> tuple[Path, str]:
    """File and name in "FILE.py:NAME". Raises PockError for anything else."""
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise PockError(
            Diagnostic(
                f"{quote(text)} does not name a job",
                help="write FILE.py:NAME, NAME being a pock.Job or a function that returns one",
            )
        )
    return Path(file), name


def load_job(text: str, changes: Changes) -> Job:
    """The job that `text` names, with `changes`.

    Runs the file, with its folder first on the import path. Raises PockError if there is no such
    file or name, its code raises, or a change makes no sense.
    """
    from pock.compiler import Job

    file, name = split_job(text)
    module = _run_file(file)
    if not hasattr(module, name):
        known = ", ".join(_candidates(module)) or "none"
        message = f"nothing is called {quote(name)}"
        raise PockError(Diagnostic(message, str(file), f"jobs and functions there: {known}"))
    found: Any = getattr(module, name)
    if not isinstance(found, Job) and callable(found):
        found = _guarded(file, found)
    if not isinstance(found, Job):
        kind = type(found).__name__
        raise PockError(Diagnostic(f"{quote(name)} is no pock.Job but a {kind}", str(file)))
    return _changed(found, changes)


def _run_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise PockError(f"cannot read {quote(file)}: no such file")
    spec = importlib.util.spec_from_file_location(f"pock_job_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    _guarded(file, lambda: spec.loader and spec.loader.exec_module(module))
    return module


def _guarded(file: Path, work: Any) -> Any:
    """Run the user's code; what it raises becomes one message with the line in its file."""
    try:
        return work()
    except PockError:
        raise
    except (Exception, SystemExit) as error:
        text = one_line(f"{type(error).__name__}: {error}")
        place = _place_in(file, error)
        raise PockError(Diagnostic(text, place, "this is raised by the job")) from error


def _place_in(file: Path, error: BaseException) -> str:
    """The last line of `file` that `error` passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{file}:{error.lineno}:{error.offset}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _candidates(module: ModuleType) -> list[str]:
    from pock.compiler import Job

    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, Job) or getattr(value, "__module__", None) == module.__name__
    )


def _changed(job: Job, changes: Changes) -> Job:
    from pock.compiler import with_changes

    target = changes.target
    if changes.threads is not None:
        target = f"{(target or job.target).partition(':')[0]}:threads={changes.threads}"
    optimizer = None if changes.optimizer is None else parse_optimizer(changes.optimizer)
    return with_changes(
        job,
        update=changes.update,
        optimizer=optimizer,
        target=target,
        name=changes.name,
        budget=changes.budget,
        layout=changes.layout,
        recompute=changes.recompute,
        loss=changes.loss,
        seed=changes.seed,
    )


def parse_optimizer(text: str) -> Any:
    """An optimizer from "adam" or "momentum{lr=0.05 momentum=0.9}".

    The options are lr and those of the pass add-optimizer. Raises PockError if it is none.
    """
    from pock_ir.passes.optimizer import RULES, OptimizerPass
    from pock_ir.registry import Spec, build_pass, parse_specs

    specs = parse_specs(text, "optimizer")
    if len(specs) != 1 or specs[0].name not in RULES:
        known = ", ".join(RULES)
        raise PockError(Diagnostic(f"no optimizer is called {quote(text)}", help=f"known: {known}"))
    name, options = specs[0].name, dict(specs[0].options)
    (rate,) = options.pop("lr", (DEFAULT_RATES.get(name, 0.01),))[:1]
    if isinstance(rate, bool | str):
        raise PockError(f"optimizer {name}: lr should be a number, not {rate!r}")
    built = build_pass(Spec("add-optimizer", {**options, "optimizer": (name,)}))
    assert isinstance(built, OptimizerPass)
    return built.user_facing(float(rate))
