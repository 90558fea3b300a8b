"""What the demo prints and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pock.demo.training import Progress as Report
from pock.measure import Comparison
from pock.pictures import bytes_text, curves_svg, text_bars
from pock.program import Program, write_file

BAR_WIDTH = 72
SMOOTHED_STEPS = 16
"""How many losses one point of a drawn curve averages: single batches of 8 are noisy."""


@dataclass(frozen=True)
class Outcome:
    """What one run did. accuracy: of held-out pictures, in [0, 1]; seconds: of training.

    gradient_error: the largest relative difference in norm of any gradient from PyTorch's, over
    `gradients` of them; verified: whether every tensor agreed. Sizes in bytes.
    """

    name: str
    accuracy: float
    losses: tuple[float, ...]
    seconds: float
    trained_values: int
    values: int
    arena_bytes: int
    arena_bound_bytes: int
    state_bytes: int
    constant_bytes: int
    gradient_error: float
    gradients: int
    verified: bool
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "losses": list(self.losses)}


@contextmanager
def training_bar(console: Console, title: str) -> Iterator[Report]:
    """A progress bar with the last loss; only the first and last line where nobody watches."""
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, loss=float("nan"))
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)


def smoothed(losses: Sequence[float]) -> list[float]:
    """The mean of the last few losses at each step."""
    windows = (losses[max(0, i + 1 - SMOOTHED_STEPS) : i + 1] for i in range(len(losses)))
    return [sum(window) / len(window) for window in windows]


def draw_losses(directory: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Write losses.svg: the smoothed loss of each run over the steps."""
    smooth = {name: smoothed(losses) for name, losses in curves.items()}
    title = f"training loss, mean of {SMOOTHED_STEPS} steps"
    write_file(directory / "losses.svg", curves_svg(smooth, title, "steps").encode())


def show_losses(console: Console, losses: Sequence[float]) -> None:
    """The loss curve as a line of blocks."""
    console.print(f"  loss   {text_bars(smoothed(losses), BAR_WIDTH)}", highlight=False)


def show_memory(console: Console, program: Program) -> None:
    """The bytes alive in the arena over the training step, as a line of blocks."""
    step = program.report().function("train_step")
    alive = [sum(column) for column in zip(*step.alive.values(), strict=True)]
    console.print(f"  arena  {text_bars(alive, BAR_WIDTH)}", highlight=False)
    console.print(
        f"         over {step.calls} kernels; {bytes_text(step.arena)} at most, "
        f"lower bound of any plan {bytes_text(step.bound)}",
        highlight=False,
    )


Row = tuple[str, ...]


def final_table(untrained: float, outcomes: Sequence[Outcome], pictures: int) -> Table:
    """The one table at the end: a column for the untrained head and for each run."""
    table = Table(title="EfficientNet-Lite0 on 14 kinds of fruit, trained by generated C")
    table.add_column("", no_wrap=True)
    for name in ("untrained head", *(outcome.name for outcome in outcomes)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(
        f"accuracy, {pictures} held-out",
        f"{untrained:.1%}",
        *(f"{outcome.accuracy:.1%}" for outcome in outcomes),
    )
    for name, *cells in _rows(outcomes):
        table.add_row(name, "", *cells)
    return table


def _rows(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    def row(name: str, *cells: str) -> Row:
        return (name, *cells)

    sides = [(outcome, outcome.comparison) for outcome in outcomes]
    yield row("trained values", *(f"{o.trained_values:,}" for o in outcomes))
    yield row("  of", *(f"{o.values:,}" for o in outcomes))
    yield row("arena", *(bytes_text(o.arena_bytes) for o in outcomes))
    yield row("  least of any plan", *(bytes_text(o.arena_bound_bytes) for o in outcomes))
    yield row("state (trained, Adam's)", *(bytes_text(o.state_bytes) for o in outcomes))
    yield row("constants (frozen)", *(bytes_text(o.constant_bytes) for o in outcomes))
    yield row("process at its peak, C", *(_kib_text(c.own_kib) for _, c in sides))
    yield row("process at its peak, PyTorch", *(_kib_text(c.other_kib) for _, c in sides))
    yield row("  after import torch alone", *(_kib_text(c.other_start_kib) for _, c in sides))
    yield row("step, C", *(f"{c.own_ms:.1f} ms" for _, c in sides))
    yield row("step, PyTorch", *(f"{c.other_ms:.1f} ms" for _, c in sides))
    yield row("  faster (median of turns)", *(f"{c.ratio:.2f} x" for _, c in sides))
    yield row("gradients, largest error", *(f"{o.gradient_error:.1e}" for o in outcomes))


def _kib_text(kib: int) -> str:
    return bytes_text(1024 * kib) if kib else "unknown"
