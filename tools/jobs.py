"""Loading a job from a user's Python file or a model's file, and changing it by options."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pock.frontends import missing_package
from pock.optimizers import parse_optimizer
from pock.tools.model_files import is_model_file, keras_job
from pock_ir.diagnostics import Diagnostic, PockError, one_line, quote

if TYPE_CHECKING:
    from pock.compiler import Job

HELP_JOB = (
    "write FILE.py:NAME, NAME being a pock.Job or a function that returns one; or a .keras file"
)
HELP_KERAS = "pock reads .keras files: load it in Keras, and save it with model.save('model.keras')"
OLD_KERAS = (".h5", ".hdf5", ".keras.zip")


@dataclass(frozen=True)
class Changes:
    """Options that replace fields of a job; None keeps what the job says.

    batch, data: example inputs and targets for a model's file, which has none.
    """

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
    frontend: str | None = None
    batch: int | None = None
    data: Path | None = None


def split_job(text: str) -> tuple[Path, str]:
    """File and name in "FILE.py:NAME". Raises PockError for anything else."""
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        help = HELP_KERAS if text.endswith(OLD_KERAS) else HELP_JOB
        raise PockError(Diagnostic(f"{quote(text)} does not name a job", help=help))
    return Path(file), name


def load_job(text: str, changes: Changes) -> Job:
    """The job that `text` names, with `changes`.

    Runs a Python file, with its folder first on the import path; reads a .keras file. Raises
    PockError if there is no such file or name, its code raises, or a change makes no sense.
    """
    if is_model_file(text):
        given = (changes.batch, changes.data, changes.loss, changes.optimizer)
        return _changed(keras_job(Path(text), *given), changes)
    for option, value in (("--batch", changes.batch), ("--data", changes.data)):
        if value is not None:
            message = f"{option} is for .keras files; a job states its example inputs itself"
            raise PockError(Diagnostic(message, text))
    return _changed(_python_job(text), changes)


def _python_job(text: str) -> Job:
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
    return found


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
        raise PockError(Diagnostic(text, place, _help_for(error))) from error


def _help_for(error: BaseException) -> str:
    missing = missing_package(error) if isinstance(error, ModuleNotFoundError) else None
    return "this is raised by the job" if missing is None else missing[1]


def _place_in(file: Path, error: BaseException) -> str:
    """The last line of `file` that `error` passed through."""
    whole = file.resolve()
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and Path(error.filename).resolve() == whole
    ):
        return f"{file}:{error.lineno}:{error.offset}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == whole]
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
        frontend=changes.frontend,
    )
