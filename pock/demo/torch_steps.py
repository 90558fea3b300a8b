"""Training steps in PyTorch, as fast as PyTorch runs them in float32: the other side of tables.

A workload is a model, an optimizer and one batch. `serve` runs it as a process of its own that
does a number of steps when told to (see `pock.measure`). The memory format is the faster one of
contiguous and channels_last, found in an earlier process: the peak memory of the one that is
measured is that of its format alone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pock_ir.diagnostics import PockError
from pock_ir.passes.scheme_rules import Scheme

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CHOOSE = "choose"
WARMUP_STEPS = 3
FORMAT_STEPS = 8

Step = Callable[[], Tensor]


@dataclass(frozen=True)
class Workload:
    """A training job on one fixed batch.

    model: builds it, in the mode in which it is trained, always the same. train: freezes what is
    not trained and returns the optimizer of the rest. update: what is trained, for pock. inputs:
    the model's arguments; labels: i64[batch], for cross entropy. formats: keys of `FORMATS`.
    """

    name: str
    model: Callable[[], nn.Module]
    train: Callable[[nn.Module], torch.optim.Optimizer]
    update: str | Scheme
    inputs: tuple[Tensor, ...]
    labels: Tensor
    formats: tuple[str, ...] = tuple(FORMATS)


def pictures(batch: int, side: int, classes: int) -> tuple[tuple[Tensor], Tensor]:
    """A batch of noise: f32[batch, 3, side, side] within [-1, 1], and labels i64[batch]."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator) * 2.0 - 1.0
    return (images,), torch.randint(0, classes, (batch,), generator=generator)


def stepper(workload: Workload, memory_format: str) -> Step:
    """Build the workload in a memory format; the result runs one step and returns the loss before
    it, f32[].
    """
    model = workload.model()
    optimizer = workload.train(model)
    # The conversion keeps the parameter objects, so that the optimizer still refers to them.
    chosen = FORMATS[memory_format]
    model.to(memory_format=chosen)  # pyright: ignore[reportCallIssue] - torch stubs
    inputs = [x.contiguous(memory_format=chosen) if x.dim() == 4 else x for x in workload.inputs]

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(*inputs), workload.labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def time_in_turns(steps: dict[str, Step], count: int) -> dict[str, list[float]]:
    """Milliseconds of `count` calls of each step, in turns, so that all meet the same load."""
    for step in steps.values():
        for _ in range(WARMUP_STEPS):
            step()
    times: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(count):
        for key, step in steps.items():
            start = time.perf_counter()
            step()
            times[key].append((time.perf_counter() - start) * 1e3)
    return times


def fastest_format(workload: Workload) -> str:
    """The memory format in which a step's median is smallest."""
    if len(workload.formats) == 1:
        return workload.formats[0]
    steps = {name: stepper(workload, name) for name in workload.formats}
    times = time_in_turns(steps, FORMAT_STEPS)
    return min(times, key=lambda name: statistics.median(times[name]))


def peak_kib() -> int:
    """The most resident memory of this process until now, in KiB; 0 where that is not known.

    Linux's own count of this program: getrusage would also count the process that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def serve(build: Callable[[], Workload], threads: int, memory_format: str) -> None:
    """Run steps as the worker of `pock.measure`, or print the fastest format for `CHOOSE`."""
    start = peak_kib()
    torch.set_num_threads(threads)
    workload = build()
    if memory_format == CHOOSE:
        print(fastest_format(workload))
        return
    step = stepper(workload, memory_format)
    for line in sys.stdin:
        begin, begin_cpu, count = time.perf_counter(), time.process_time(), int(line)
        for _ in range(count - 1):
            step()
        loss = float(step())
        spent, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        print(f"{spent:.9f} {cpu:.9f} {loss:.9g} {peak_kib()} {start}", flush=True)


def worker_command(
    module: str, key: str, threads: int, directory: Path | None = None
) -> Sequence[str]:
    """The command of a worker in its fastest format: `python -m module key threads format`.

    Raises PockError if PyTorch cannot run the workload; what it says goes to the error output.
    """
    command = [sys.executable, "-m", module, key, str(threads)]
    chosen = subprocess.run(
        [*command, CHOOSE], stdout=subprocess.PIPE, text=True, check=False, cwd=directory
    )
    if chosen.returncode != 0 or chosen.stdout.strip() not in FORMATS:
        raise PockError(f"PyTorch's side failed: {' '.join(command)}")
    return [*command, chosen.stdout.strip()]
