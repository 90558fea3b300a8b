"""`pock.compile`: from a model to a training program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from xdsl.dialects.builtin import ModuleOp, StringAttr

from pock.frontends import Imported, default_loss, default_optimizer, import_model, optimizer_from
from pock.host import resolve_target
from pock.pipeline import RECOMPUTE, training_pipeline
from pock.program import Program
from pock.report import Report, make_report
from pock.verify import Verification, verify_program
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.dialects import make_context
from pock_ir.dialects.levels import check_named_level
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.optimizer import Optimizer
from pock_ir.passes.savings import Savings, Work, work_of
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.scheme_file import parse_update
from pock_ir.passes.scheme_rules import Scheme
from pock_ir.pipeline import (
    Limits,
    Observer,
    Pipeline,
    Step,
    Timing,
    VerifyEach,
    collector_paused,
)
from pock_ir.target import TARGET_ATTRIBUTE, Target, target_text
from pock_ir.targets.c.program.files import json_bytes, manifest, program_files
from pock_ir.targets.c.program.layout import ProgramLayout, model_hash
from pock_ir.targets.c.program.read import read_layout

SIZE_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20}
SIZE_UNITS |= {"gb": 1 << 30, "gib": 1 << 30}


class BudgetError(PockError):
    """The program works, but needs more memory than its budget."""


@dataclass(frozen=True)
class Job:
    """Everything that determines a program; the parameters of `compile`, as a value.

    loss, optimizer: None stands for the default of `compile`, which takes its place. A command line
    names a function that returns one: `pock compile train.py:job`.
    """

    model: Any
    example_inputs: Sequence[Any]
    example_targets: Any
    loss: Any = None
    optimizer: Any = None
    update: str | Scheme = "full"
    target: str = "host"
    name: str = "model"
    layout: str = "nhwc"
    recompute: str = "none"
    seed: int = 0
    budget: int | str | None = None
    frontend: str | None = None

    def __post_init__(self) -> None:
        if self.loss is None:
            object.__setattr__(self, "loss", default_loss(self.model))
        if self.optimizer is None:
            object.__setattr__(self, "optimizer", default_optimizer(self.model))


def compile(
    model: Any,
    example_inputs: Sequence[Any],
    example_targets: Any,
    loss: Any = None,
    optimizer: Any = None,
    update: str | Scheme = "full",
    target: str = "host",
    *,
    name: str = "model",
    layout: str = "nhwc",
    recompute: str = "none",
    seed: int = 0,
    budget: int | str | None = None,
    frontend: str | None = None,
    observers: Sequence[Observer] = (),
) -> Program:
    """Compile one training program.

    model: a torch nn.Module or ExportedProgram; example_inputs: its positional arguments, whose
    shapes and dtypes are fixed from here on; example_targets: what the loss compares with.
    loss: "cross_entropy" (class indices), "mse", or a function of outputs and targets; default what
    a Keras model was compiled with, else "cross_entropy".
    optimizer: SGD, Adam, AdamW or Lion of this package, or one of torch, optax or Keras; default
    what a Keras model was compiled with, else SGD(lr=0.01).
    update: which parameters train: "full", "head", "last:K", "bias", a Scheme or its file.
    target: "host", a name from `pock ops --targets`, with ":threads=N" appended.
    layout: "nhwc", or "keep" for the framework's. recompute: "none", or "cheap": elementwise
    values of the forward pass are computed again in the backward pass instead of kept.
    seed: of dropout, changeable at run time.
    budget: the most bytes of RAM (arena and state), like "256KB" (1 KB is 1024 bytes).
    observers: see `pock_ir.pipeline`.

    Raises PockError that lists everything unsupported, with the user's source lines.
    """
    job = Job(
        model,
        example_inputs,
        example_targets,
        loss,
        optimizer,
        update,
        target,
        name,
        layout,
        recompute,
        seed,
        budget,
        frontend,
    )
    return compile_job(job, observers)


def compile_job(job: Job, observers: Sequence[Observer] = ()) -> Program:
    """Compile the program that `job` describes. Raises PockError as `compile` does."""
    timing = Timing()
    compiled = lower_job(job, (*observers, timing))
    layout = compiled.layout()
    report = make_report(compiled.module, layout, compiled.savings, timing)
    _check_budget(job, layout, report)
    files = _all_files(layout, compiled, report, job.seed)

    def verifier(steps: int) -> Verification:
        return verify_program(job, steps)

    return Program(layout, files, report, verifier)


@dataclass(frozen=True)
class Lowered:
    """A job after the whole pipeline: the planned module and what it came from."""

    module: ModuleOp
    imported: Imported
    optimizer: Optimizer
    savings: Savings | None

    def layout(self) -> ProgramLayout:
        """The program that the module describes."""
        with collector_paused():
            return read_layout(self.module, self.optimizer.lr, self.imported.aliases)


def gradient_program(job: Job, observers: Sequence[Observer] = ()) -> tuple[Lowered, Program]:
    """`job` compiled so that the training step also returns every gradient, for verification."""
    lowered = lower_job(job, observers, gradients=True)
    layout = lowered.layout()
    return lowered, Program(layout, program_files(layout, lowered.imported.weights, job.seed), None)


def lower_job(
    job: Job,
    observers: Sequence[Observer] = (),
    limits: Limits | None = None,
    gradients: bool = False,
) -> Lowered:
    """Import `job` and run its pipeline.

    gradients: also return every gradient from the training step, for verification.
    """
    target = resolve_target(job.target)
    optimizer = optimizer_from(job.optimizer)
    imported = import_model(job)
    module = imported.module
    name_module(module, job.name, target)
    pipeline = job_pipeline(job, optimizer, gradients, imported.frozen)
    observer = SavingsObserver()
    pipeline.run(
        make_context(), module, (*observers, observer, VerifyEach(check_named_level)), limits
    )
    return Lowered(module, imported, optimizer, observer.savings)


class SavingsObserver(Observer):
    """Keeps what the update scheme saves: autodiff is run once more with everything trained."""

    def __init__(self) -> None:
        self.savings: Savings | None = None
        self._full: Work | None = None

    def before(self, step: Step, module: ModuleOp) -> None:
        if step.stage.name == "scheme":
            full = module.clone()
            for action in (ApplySchemePass("full"), AutodiffPass()):
                action.apply(make_context(), full)
            self._full = work_of(full)

    def after(self, step: Step, module: ModuleOp) -> None:
        if step.stage.name == "autodiff" and self._full is not None:
            self.savings = Savings(self._full, work_of(module))


def job_pipeline(
    job: Job, optimizer: Optimizer, gradients: bool = False, frozen: Sequence[str] = ()
) -> Pipeline:
    """The pipeline of `job`, to be changed and run by hand.

    frozen: parameters that the framework says are not to be trained, whatever the scheme says.
    """
    scheme = parse_update(job.update) if isinstance(job.update, str) else job.update
    scheme = replace(scheme, frozen=(*scheme.frozen, *frozen))
    for value, known in ((job.layout, ("nhwc", "keep")), (job.recompute, tuple(RECOMPUTE))):
        if value not in known:
            raise PockError(Diagnostic(f"unknown choice {quote(value)}", help=", ".join(known)))
    return training_pipeline(
        ApplySchemePass.of(scheme),
        optimizer.to_pass(gradients=gradients),
        job.layout,
        job.recompute,
    )


def name_module(module: ModuleOp, name: str, target: Target) -> None:
    """State in the IR what the program is called and what it is for."""
    module.attributes["pock.name"] = StringAttr(name)
    module.attributes[TARGET_ATTRIBUTE] = StringAttr(target_text(target))


def parse_size(text: int | str) -> int:
    """Bytes from "256KB", "1.5 MB" or a number; 1 KB is 1024 bytes.

    Raises PockError for anything else.
    """
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match.group(2).lower() not in SIZE_UNITS:
        raise PockError(Diagnostic(f"{quote(text)} is not a size", help='write "256KB" or "1.5MB"'))
    return int(float(match.group(1)) * SIZE_UNITS[match.group(2).lower()])


def _check_budget(job: Job, layout: ProgramLayout, report: Report) -> None:
    if job.budget is None:
        return
    budget, needed = parse_size(job.budget), layout.arena_bytes + layout.state_bytes
    if needed > budget:
        raise BudgetError(
            Diagnostic(
                f"the program needs {needed} bytes of RAM (arena {layout.arena_bytes}, state "
                f"{layout.state_bytes}), {needed - budget} more than the budget of {budget}",
                help="largest at the peak: " + ", ".join(report.largest_at_peak(3)),
            )
        )


def _all_files(
    layout: ProgramLayout, compiled: Lowered, report: Report, seed: int
) -> dict[str, bytes]:
    weights = compiled.imported.weights
    files = program_files(layout, weights, seed)
    files |= report.files()
    files[f"{layout.name}.safetensors"] = compiled.imported.weights_file()
    header = f"{layout.name}.constants.bin"
    hash = model_hash(layout, files[header][64:])
    files["pock.json"] = json_bytes(manifest(layout, files, hash))
    return files


def with_changes(job: Job, **changes: Any) -> Job:
    """`job` with some fields replaced; None keeps a field."""
    return replace(job, **{key: value for key, value in changes.items() if value is not None})
