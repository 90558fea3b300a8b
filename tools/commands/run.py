"""`pock run`: train with a compiled program on arrays from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from pock.arrays import fitted
from pock.manifest import load_program
from pock.program import Program
from pock.tools.arrays import read_arrays
from pock.tools.console import Console
from pock.tools.exits import EXIT_OK
from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.targets.c.program.header import public_ports
from pock_ir.targets.c.program.layout import Port
from pock_ir.types import Array


@dataclass(frozen=True)
class Data:
    """Samples for an entry: one array for each input and target, in order, with equal rows."""

    arrays: tuple[Array, ...]
    batch: int

    @property
    def rows(self) -> int:
        return len(self.arrays[0])

    def batch_of(self, indices: Array) -> list[Array]:
        """The rows `indices` of every array."""
        return [np.ascontiguousarray(array[indices]) for array in self.arrays]


def train(
    console: Console,
    folder: Path,
    data: Path,
    eval_data: Path | None,
    iters: int,
    rate: float | None,
    seed: int,
    steps_per_report: int,
    load: Path | None,
    save: Path | None,
    export: Path | None,
    as_json: bool,
) -> int:
    """Train, evaluate, save and export as the options say. Raises PockError."""
    program = load_program(folder)
    samples = read_data(program, data)
    checked = None if eval_data is None else read_data(program, eval_data)
    if load is not None:
        program.load(load)
    if rate is not None:
        program.learning_rate = rate
    program.session.seed = seed
    losses, seconds = _train(console, program, samples, iters, seed, steps_per_report)
    evaluation = None if checked is None else evaluate(program, checked)
    if save is not None:
        program.save(save)
    if export is not None:
        program.export(export)
    _print(console, losses, seconds, evaluation, as_json)
    return EXIT_OK


def _train(
    console: Console, program: Program, data: Data, iters: int, seed: int, every: int
) -> tuple[list[float], float]:
    """The loss of each step, and the seconds that the steps took together."""
    losses: list[float] = []
    order = _Order(data, seed)
    spent = 0.0
    with console.progress("training") as report:
        for step in range(iters):
            batch = data.batch_of(order.next())
            start = perf_counter()
            losses.append(program.step(*batch))
            spent += perf_counter() - start
            report(f"loss {losses[-1]:.4f}", step + 1, iters)
            if (step + 1) % every == 0:
                recent = losses[-every:]
                console.detail(f"step {step + 1}: loss {sum(recent) / len(recent):.6f}")
    return losses, spent


class _Order:
    """Batches of row numbers, a new permutation in each epoch; incomplete batches are dropped."""

    def __init__(self, data: Data, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._rows, self._batch = data.rows, data.batch
        self._left: Array = np.empty(0, np.int64)

    def next(self) -> Array:
        if len(self._left) < self._batch:
            self._left = self._generator.permutation(self._rows)
        chosen, self._left = self._left[: self._batch], self._left[self._batch :]
        return chosen


def evaluate(program: Program, data: Data) -> dict[str, float]:
    """Mean loss over all whole batches, and accuracy where the outputs are scores of classes."""
    losses: list[float] = []
    right = total = 0
    for start in range(0, data.rows - data.batch + 1, data.batch):
        batch = data.batch_of(np.arange(start, start + data.batch))
        loss, outputs = program.eval(*batch)
        losses.append(loss)
        scores, labels = next(iter(outputs.values())), batch[-1]
        if scores.ndim == 2 and labels.shape == scores.shape[:1] and labels.dtype.kind == "i":
            right += int((scores.argmax(1) == labels).sum())
            total += len(labels)
    result = {"loss": float(np.mean(losses)), "rows": float(len(losses) * data.batch)}
    return {**result, "accuracy": right / total} if total else result


def read_data(program: Program, path: Path) -> Data:
    """The arrays of `path` for the training step. Raises PockError for each that does not fit."""
    entry = program.layout.entry("train_step")
    if entry is None:
        raise PockError("the program was compiled without training")
    ports = [port for port in public_ports(entry) if not port.is_result]
    found = read_arrays(path)
    problems = DiagnosticCollector()
    arrays = [_fitting(port, found, path, problems) for port in ports]
    problems.raise_if_any()
    return _same_rows(ports, [array for array in arrays if array is not None], path)


def _fitting(
    port: Port, found: Mapping[str, Array], path: Path, problems: DiagnosticCollector
) -> Array | None:
    """The array of one port: rows are samples, the rest is as compiled."""
    shape, dtype = port.spec.shape, port.spec.dtype.numpy
    if port.name not in found:
        known = ", ".join(map(quote, found)) or "nothing"
        problems.add(f"{port.kind} {quote(port.name)} is missing", str(path), f"it has {known}")
        return None
    array = found[port.name]
    is_shaped = bool(shape) and array.ndim == len(shape) and array.shape[1:] == shape[1:]
    taken = fitted(array, dtype) if is_shaped else None
    if taken is None:
        wanted = f"{dtype} of shape {('rows', *shape[1:])}"
        message = f"{port.kind} {quote(port.name)} should be {wanted}"
        problems.add(f"{message}, not {array.dtype} of shape {array.shape}", str(path))
        return None
    return taken


def _same_rows(ports: Sequence[Port], arrays: Sequence[Array], path: Path) -> Data:
    batches = {port.spec.shape[0] for port in ports}
    rows = {len(array) for array in arrays}
    if len(batches) != 1 or len(rows) != 1:
        raise PockError(Diagnostic("inputs and targets differ in their number of rows", str(path)))
    (batch,), (count,) = batches, rows
    if count < batch:
        raise PockError(Diagnostic(f"{count} rows do not fill a batch of {batch}", str(path)))
    return Data(tuple(arrays), batch)


def _print(
    console: Console,
    losses: Sequence[float],
    seconds: float,
    evaluation: Mapping[str, float] | None,
    as_json: bool,
) -> None:
    rate = len(losses) / seconds if seconds else 0.0
    if as_json:
        console.json({"losses": list(losses), "steps_per_second": rate, "evaluation": evaluation})
        return
    if losses:
        tail = losses[-10:]
        mean = sum(tail) / len(tail)
        console.result(
            f"{len(losses)} steps, loss {losses[0]:.6f} -> {mean:.6f}, {rate:.1f} steps/s"
        )
    if evaluation is not None:
        shown = ", ".join(f"{key} {value:.6g}" for key, value in evaluation.items())
        console.result(f"evaluation: {shown}")
