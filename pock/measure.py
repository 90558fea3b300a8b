"""Measuring training steps: a generated program and another trainer, each in its own process.

The generated program runs in a C process without Python, so that its peak memory is its own. The
two take turns of a fraction of a second, so that both meet the same load on the machine.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pock.build import find_compiler, run_compiler
from pock.program import Program
from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.files import source_paths
from pock_ir.targets.c.program.header import public_ports
from pock_ir.targets.c.program.source import compile_flags
from pock_ir.targets.c.program.text import fill

DRIVER = Path(__file__).with_name("driver.c.in")
WARMUP_STEPS = 3
SECONDS_PER_TURN = 0.25
MEASURING_RATE = 1e-5
"""The learning rate of steps that are only timed: so small that training on one batch never leaves
the ordinary range of numbers. A step takes the same time at any rate."""

LOSS_TOLERANCE = 1e-3
"""The largest relative difference of the first loss: more means that the work differs."""


@dataclass(frozen=True)
class Turn:
    """One turn of a worker: seconds per step, loss of the last step, and memory in KiB.

    cpu_seconds: processor time per step, of all threads together, waiting in a loop included.
    peak_kib: the most resident memory of the process until now; start_kib: when it had loaded its
    code, before it built anything.
    """

    seconds: float
    cpu_seconds: float
    loss: float
    peak_kib: int
    start_kib: int


class Worker:
    """A process that runs training steps when it is told to: a number in, a line out.

    Raises PockError if the process ends or answers anything else.
    """

    def __init__(self, command: Sequence[str], directory: Path | None = None) -> None:
        self.command = tuple(command)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, text=True, cwd=directory
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, steps: int) -> Turn:
        """Run `steps` steps, one at least."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("a worker has both pipes")
        try:
            stdin.write(f"{steps}\n")
            stdin.flush()
            words = stdout.readline().split()
        except OSError:
            words = []
        if len(words) != 5:
            raise PockError(f"the process that runs the steps ended: {' '.join(self.command[:4])}")
        seconds, cpu, loss = map(float, words[:3])
        return Turn(seconds / steps, cpu / steps, loss, int(words[3]), int(words[4]))


@dataclass(frozen=True)
class Comparison:
    """Two trainers that took turns.

    milliseconds per step: medians over the turns, the best turn, and medians of the processor
    time, which says most on a machine that others use too if each side has one thread.
    ratio: median, smallest and largest of theirs over ours of each pair of turns, so that above 1
    means that ours is faster. Memory in KiB.
    """

    own_ms: float
    other_ms: float
    own_best_ms: float
    other_best_ms: float
    own_cpu_ms: float
    other_cpu_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    own_kib: int
    other_kib: int
    other_start_kib: int
    turns: int


def in_turns(own: Worker, other: Worker, turns: int) -> Comparison:
    """Let two workers train in turns.

    Raises PockError if the losses of the first steps show that they do not do the same.
    """
    for _ in range(WARMUP_STEPS):
        _check_losses(own.run(1).loss, other.run(1).loss)
    counts = {w: max(1, round(SECONDS_PER_TURN / w.run(1).seconds)) for w in (own, other)}
    pairs = [(own.run(counts[own]), other.run(counts[other])) for _ in range(turns)]
    ratios = [theirs.seconds / ours.seconds for ours, theirs in pairs]
    return Comparison(
        own_ms=1e3 * statistics.median(ours.seconds for ours, _ in pairs),
        other_ms=1e3 * statistics.median(theirs.seconds for _, theirs in pairs),
        own_best_ms=1e3 * min(ours.seconds for ours, _ in pairs),
        other_best_ms=1e3 * min(theirs.seconds for _, theirs in pairs),
        own_cpu_ms=1e3 * statistics.median(ours.cpu_seconds for ours, _ in pairs),
        other_cpu_ms=1e3 * statistics.median(theirs.cpu_seconds for _, theirs in pairs),
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        own_kib=pairs[-1][0].peak_kib,
        other_kib=pairs[-1][1].peak_kib,
        other_start_kib=pairs[-1][1].start_kib,
        turns=turns,
    )


def _check_losses(own: float, other: float) -> None:
    if not abs(own - other) <= LOSS_TOLERANCE * max(1.0, abs(other)):
        raise PockError(f"the two trainers do not do the same: losses {own} and {other}")


def driver_source(program: Program, after_step: str = "") -> str:
    """The C program that runs training steps of `program` on demand.

    after_step: a function `void NAME(void)` of the program to call after each step, or nothing.
    Raises PockError if it cannot train.
    """
    entry = program.layout.entry("train_step")
    if entry is None:
        raise PockError("the program has no training step to measure")
    name = program.layout.name
    ports = sum(not port.is_result for port in public_ports(entry))
    threaded = program.layout.target.threads > 1
    attach = f"  {name}_threads_attach({name}_threads_start(), &context);" if threaded else ""
    values = {
        "name": name,
        "NAME": name.upper(),
        "PORTS": str(ports),
        "AFTER_DECLARATION": f"void {after_step}(void);" if after_step else "",
        "AFTER_CALL": f"{after_step}();" if after_step else "",
        "RATE": f"{MEASURING_RATE!r}f",
        "ARGUMENTS": ", ".join(f"port[{i}]" for i in range(ports)),
        "THREADS_INCLUDE": f'#include "{name}_threads.h"' if threaded else "",
        "THREADS_START": attach,
    }
    return fill(DRIVER.read_text(encoding="utf-8"), values)


def build_driver(
    program: Program, arrays: Sequence[Any], folder: Path, after_step: str = ""
) -> list[str]:
    """Write and compile `program` and its driver in `folder`.

    arrays: one batch, in the order of the inputs and targets; after_step: see `driver_source`.
    Returns the command that starts the worker. Raises PockError if the compiler fails.
    """
    name = program.layout.name
    program.write(folder)
    (folder / "driver.c").write_text(driver_source(program, after_step), encoding="utf-8")
    sources = [folder / path for path in ("driver.c", *source_paths(program.layout))]
    flags = [*compile_flags(program.layout), f"-I{folder / 'include'}"]
    compiler = find_compiler(program.compiler)
    command = [compiler, *flags, *map(str, sources), "-o", "driver", "-lm", "-pthread"]
    run_compiler(command, folder)
    files = [folder / f"{name}.constants.bin", folder / f"{name}.state.bin"]
    for index, array in enumerate(arrays):
        files.append(folder / f"port{index}.bin")
        files[-1].write_bytes(np.ascontiguousarray(array).tobytes())
    return [str(folder / "driver"), *map(str, files)]
