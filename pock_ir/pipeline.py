"""The pipeline engine: named stages, and everything that hangs off a stage's name.

A `Pipeline` is a value: a tuple of `Stage`s, each a name, a few passes and the level of the
module afterwards. Build one, change it (`replace`, `insert_after`, `until`, `starting_at`), run
it. Observers print, dump, time, verify and validate; the engine only calls them.

When a pass fails with anything but a `PockError`, the engine can write a reproducer: the module
as it was before the failing pass, with the `pock-opt` command that replays it on the first line.
"""

from __future__ import annotations

import gc
import hashlib
import shlex
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.parse import print_module
from pock_ir.registry import pass_text
from pock_ir.verify import verify_module

LEVEL_ATTRIBUTE = "pock.level"


@dataclass(frozen=True)
class Stage:
    """One line of the pipeline: its stable name, its passes, and the level it leaves."""

    name: str
    passes: tuple[ModulePass, ...]
    level: str


@dataclass(frozen=True)
class Step:
    """One pass of one stage, as observers see it. `index` counts passes from 0."""

    index: int
    total: int
    stage: Stage
    action: ModulePass


class Observer:
    """Sees the module before and after every pass. The base class does nothing."""

    def before(self, step: Step, module: ModuleOp) -> None:
        """Called just before `step` runs."""

    def after(self, step: Step, module: ModuleOp) -> None:
        """Called just after `step` ran."""


@dataclass(frozen=True)
class Limits:
    """Where to stop.

    stop_after: name of the last stage to run. passes: run only that many passes (for bisecting
    a wrong result). reproducer: file for the crash reproducer.
    """

    stop_after: str | None = None
    passes: int | None = None
    reproducer: Path | None = None


@dataclass(frozen=True)
class Pipeline:
    """An immutable sequence of stages."""

    stages: tuple[Stage, ...]

    def names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """The stage called `name`; raises PockError listing the names if there is none."""
        return self.stages[self._index(name)]

    def replace(self, name: str, stage: Stage) -> Pipeline:
        """This pipeline with another stage in the place of `name`."""
        at = self._index(name)
        return Pipeline((*self.stages[:at], stage, *self.stages[at + 1 :]))

    def insert_after(self, name: str, stage: Stage) -> Pipeline:
        """This pipeline with `stage` after the stage `name`."""
        at = self._index(name) + 1
        return Pipeline((*self.stages[:at], stage, *self.stages[at:]))

    def without(self, name: str) -> Pipeline:
        """This pipeline without the stage `name`."""
        at = self._index(name)
        return Pipeline((*self.stages[:at], *self.stages[at + 1 :]))

    def until(self, name: str) -> Pipeline:
        """The stages up to and including `name`."""
        return Pipeline(self.stages[: self._index(name) + 1])

    def starting_at(self, name: str) -> Pipeline:
        """The stages from `name` on."""
        return Pipeline(self.stages[self._index(name) :])

    def text(self) -> str:
        """The passes as `pock-opt -p` reads them."""
        return pass_text(action for stage in self.stages for action in stage.passes)

    def run(
        self,
        ctx: Context,
        module: ModuleOp,
        observers: Sequence[Observer] = (),
        limits: Limits | None = None,
    ) -> None:
        """Run the stages on `module`, in place.

        Raises PockError from a pass, and whatever a defective pass raises (after writing the
        reproducer, if one is asked for).
        """
        limits = limits or Limits()
        steps = self._steps(limits)
        start = module.clone() if limits.reproducer is not None else None
        with collector_paused():
            for step in steps:
                try:
                    _run_step(ctx, module, step, observers)
                except PockError:
                    raise
                except Exception as error:
                    if start is None or limits.reproducer is None:
                        raise
                    write_reproducer(limits.reproducer, ctx, start, steps[: step.index + 1])
                    error.add_note(f"reproducer written to {limits.reproducer}")
                    raise

    def _steps(self, limits: Limits) -> list[Step]:
        chosen = self if limits.stop_after is None else self.until(limits.stop_after)
        pairs = [(stage, action) for stage in chosen.stages for action in stage.passes]
        total = len(pairs)
        steps = [Step(i, total, stage, action) for i, (stage, action) in enumerate(pairs)]
        return steps if limits.passes is None else steps[: limits.passes]

    def _index(self, name: str) -> int:
        names = self.names()
        if name not in names:
            known = ", ".join(names)
            raise PockError(Diagnostic(f"no stage is called {quote(name)}", help=f"known: {known}"))
        return names.index(name)


@contextmanager
def collector_paused() -> Generator[None]:
    """Within it, Python's cycle collector does not run.

    It walks the whole IR again and again while passes allocate, which makes the time per op grow
    with the module; what a pass drops is freed by reference counts or at the end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run_step(ctx: Context, module: ModuleOp, step: Step, observers: Sequence[Observer]) -> None:
    for observer in observers:
        observer.before(step, module)
    step.action.apply(ctx, module)
    if step.action is step.stage.passes[-1]:
        module.attributes[LEVEL_ATTRIBUTE] = StringAttr(step.stage.level)
    for observer in observers:
        observer.after(step, module)


def write_reproducer(path: Path, ctx: Context, start: ModuleOp, steps: Sequence[Step]) -> None:
    """Write the module before the last of `steps`, and the command that replays that step.

    If the earlier steps cannot be repeated, the module at the start and all steps are written.
    """
    module, remaining = start.clone(), list(steps)
    try:
        for step in steps[:-1]:
            step.action.apply(ctx, module)
        remaining = [steps[-1]]
    except (PockError, VerifyException, ValueError, KeyError):
        module = start
    command = shlex.quote(pass_text(step.action for step in remaining))
    text = print_module(module, locations=True)
    path.write_text(f"// pock-opt {path.name} -p {command}\n{text}\n", encoding="utf-8")


class VerifyEach(Observer):
    """Verifies the module, its dominance and its level after each stage.

    check: the executable statement of what is legal at a level, called with module and name.
    every_pass: verify after every pass of a stage, not only after the last. Raises
    AssertionError naming the pass: invalid IR between passes is a bug of a pass.
    """

    def __init__(self, check: Callable[[ModuleOp, str], None], every_pass: bool = False) -> None:
        self._check = check
        self._every_pass = every_pass

    def after(self, step: Step, module: ModuleOp) -> None:
        is_last = step.action is step.stage.passes[-1]
        if not (is_last or self._every_pass):
            return
        try:
            verify_module(module)
            if is_last:
                self._check(module, step.stage.level)
        except PockError as error:
            raise AssertionError(f"invalid IR after pass {step.action.name}: {error}") from error


@dataclass
class PrintIR(Observer):
    """Prints the module around chosen stages or passes ("all" chooses every one)."""

    out: TextIO
    before_names: frozenset[str] = frozenset()
    after_names: frozenset[str] = frozenset()
    changed_only: bool = False
    _digest: str = ""

    def before(self, step: Step, module: ModuleOp) -> None:
        if self.changed_only:
            self._digest = _digest(module)
        if _chosen(step, self.before_names):
            self._show("before", step, module)

    def after(self, step: Step, module: ModuleOp) -> None:
        if not _chosen(step, self.after_names):
            return
        if self.changed_only and _digest(module) == self._digest:
            return
        self._show("after", step, module)

    def _show(self, when: str, step: Step, module: ModuleOp) -> None:
        self.out.write(f"// ----- {when} {step.stage.name}: {step.action.name}\n")
        self.out.write(print_module(module) + "\n")


@dataclass
class DumpIR(Observer):
    """Writes the module after each pass into a numbered file of `directory`."""

    directory: Path

    def before(self, step: Step, module: ModuleOp) -> None:
        if step.index == 0:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._write("00-start", module)

    def after(self, step: Step, module: ModuleOp) -> None:
        name = f"{step.index + 1:02d}-{step.stage.name}-{step.action.name}".replace(" ", "-")
        self._write(name, module)

    def _write(self, name: str, module: ModuleOp) -> None:
        text = print_module(module, locations=True)
        (self.directory / f"{name}.mlir").write_text(text + "\n", encoding="utf-8")


TimingRow = tuple[str, str, float, int]
"""Stage, pass, seconds, ops afterwards."""


@dataclass
class Timing(Observer):
    """Records the seconds of each pass, and the number of ops it left."""

    rows: list[TimingRow] = field(default_factory=list[TimingRow])
    _start: float = 0.0

    def before(self, step: Step, module: ModuleOp) -> None:
        self._start = time.perf_counter()

    def after(self, step: Step, module: ModuleOp) -> None:
        seconds = time.perf_counter() - self._start
        count = sum(1 for _ in module.walk())
        self.rows.append((step.stage.name, step.action.name, seconds, count))

    def total(self) -> float:
        """Seconds of all passes together."""
        return sum(row[2] for row in self.rows)


@dataclass
class Validate(Observer):
    """Interprets the module before and after each pass and compares the results.

    compare: called with the module before, the module after and the name of the pass; raises
    PockError naming the first value that differs.
    """

    compare: Callable[[ModuleOp, ModuleOp, str], None]
    _before: ModuleOp | None = None

    def before(self, step: Step, module: ModuleOp) -> None:
        self._before = module.clone()

    def after(self, step: Step, module: ModuleOp) -> None:
        if self._before is None:
            raise AssertionError("after() without before()")
        self.compare(self._before, module, step.action.name)


@dataclass
class Progress(Observer):
    """Reports each step to a callback: stage name, number of steps done, number in all."""

    report: Callable[[str, int, int], None]

    def before(self, step: Step, module: ModuleOp) -> None:
        self.report(step.stage.name, step.index, step.total)


def _chosen(step: Step, names: frozenset[str]) -> bool:
    return bool(names & {"all", step.stage.name, step.action.name})


def _digest(module: ModuleOp) -> str:
    return hashlib.sha256(print_module(module).encode()).hexdigest()
