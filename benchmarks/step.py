"""Whole training steps against PyTorch eager: one alternating run, float32, the same work.

Each workload runs in two processes: PyTorch, and a C program around the generated code with no
Python in it. They take turns, a few steps each, so that both meet the same load on the machine.
Printed are the medians, their ratio (above 1: pock is faster), and both processes' peak memory.

    python -m benchmarks.step [--threads 2] [--rounds 15] [--json FILE] [WORKLOAD ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pock.build import find_compiler, run_compiler
from pock.compiler import compile_job
from pock.program import Program
from pock_ir import VERSION
from pock_ir.targets.c.program.files import source_paths
from pock_ir.targets.c.program.header import public_ports
from pock_ir.targets.c.program.source import compile_flags
from pock_ir.targets.c.program.text import fill

HERE = Path(__file__).parent
WARMUP = 3
SECONDS_PER_TURN = 0.25


@dataclass(frozen=True)
class Outcome:
    """Medians in milliseconds per step, peak memory of each process in KiB, and the last losses."""

    workload: str
    pock_ms: float
    torch_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    pock_kib: int
    torch_kib: int
    pock_loss: float
    torch_loss: float

    @property
    def memory_ratio(self) -> float:
        return self.torch_kib / self.pock_kib


class Worker:
    """A process that runs steps when it is told to, one line in, one line out."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
        )

    def run(self, steps: int) -> tuple[float, float, int]:
        """Seconds per step, last loss, peak memory in KiB so far."""
        if self.process.stdin is None or self.process.stdout is None:
            raise AssertionError("the worker has no pipes")
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        if len(line) != 3:
            raise SystemExit(f"a benchmark worker died: {self.process.args}")
        return float(line[0]) / steps, float(line[1]), int(line[2])

    def stop(self) -> None:
        self.process.communicate(timeout=30)


def build_driver(program: Program, arrays: list[np.ndarray], folder: Path) -> list[str]:
    """Compile the C driver in `folder`; returns the command that starts it."""
    name = program.layout.name
    program.write(folder)
    entry = program.layout.entry("train_step")
    if entry is None:
        raise SystemExit("the program has no training step")
    ports = [port for port in public_ports(entry) if not port.is_result]
    threaded = program.layout.target.threads > 1
    values = {
        "name": name,
        "NAME": name.upper(),
        "PORTS": str(len(ports)),
        "ARGUMENTS": ", ".join(f"port[{i}]" for i in range(len(ports))),
        "THREADS_INCLUDE": f'#include "{name}_threads.h"' if threaded else "",
        "THREADS_START": f"  {name}_threads_attach({name}_threads_start(), &context);"
        if threaded
        else "",
    }
    driver = folder / "driver.c"
    driver.write_text(fill((HERE / "driver.c.in").read_text(), values))
    sources = [str(folder / path) for path in source_paths(program.layout)]
    flags = [*compile_flags(program.layout), f"-I{folder}/include"]
    command = [find_compiler(), *flags, str(driver), *sources, "-o", "driver", "-lm", "-pthread"]
    run_compiler(command, folder)
    files = [folder / f"{name}.constants.bin", folder / f"{name}.state.bin"]
    for index, array in enumerate(arrays):
        files.append(folder / f"port{index}.bin")
        files[-1].write_bytes(np.ascontiguousarray(array).tobytes())
    return [str(folder / "driver"), *map(str, files)]


def measure(key: str, threads: int, rounds: int, folder: Path) -> Outcome:
    """Run one workload in turns with PyTorch."""
    from benchmarks.workloads import WORKLOADS

    job, arrays = WORKLOADS[key](threads)
    own = Worker(build_driver(compile_job(job), arrays, folder))
    torch_command = [sys.executable, "-m", "benchmarks.torch_worker", key, str(threads)]
    theirs = Worker(torch_command)
    turns = {w: max(1, round(SECONDS_PER_TURN / w.run(WARMUP)[0])) for w in (own, theirs)}
    pairs = [(own.run(turns[own]), theirs.run(turns[theirs])) for _ in range(rounds)]
    own.stop()
    theirs.stop()
    ratios = [t[0] / p[0] for p, t in pairs]
    return Outcome(
        key,
        1e3 * statistics.median(p[0] for p, _ in pairs),
        1e3 * statistics.median(t[0] for _, t in pairs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        pairs[-1][0][2],
        pairs[-1][1][2],
        pairs[-1][0][1],
        pairs[-1][1][1],
    )


HEADINGS = ("workload", "pock ms", "torch ms", "faster", "(range)", "pock MiB", "torch MiB", "less")


def print_row(outcome: Outcome) -> None:
    print(
        f"{outcome.workload:20} {outcome.pock_ms:9.2f} {outcome.torch_ms:9.2f} "
        f"{outcome.ratio:6.2f}x ({outcome.ratio_low:.2f}-{outcome.ratio_high:.2f}) "
        f"{outcome.pock_kib / 1024:8.1f} {outcome.torch_kib / 1024:9.1f} "
        f"{outcome.memory_ratio:5.1f}x",
        flush=True,
    )


def machine() -> str:
    """The machine and the versions, for the table's caption."""
    import torch

    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    compiler = subprocess.run([find_compiler(), "--version"], capture_output=True, text=True)
    return f"{model}; {compiler.stdout.splitlines()[0]}; pock {VERSION}; torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def main() -> None:
    from benchmarks.workloads import WORKLOADS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    options = parser.parse_args()
    print(f"{machine()}; {options.threads} threads; medians of {options.rounds} turns")
    print("{:20} {:>9} {:>9} {:>7} {:>11} {:>8} {:>9} {:>6}".format(*HEADINGS))
    outcomes: list[Outcome] = []
    for key in options.workloads:
        with tempfile.TemporaryDirectory(prefix="pock-bench-") as folder:
            outcomes.append(measure(key, options.threads, options.rounds, Path(folder)))
        print_row(outcomes[-1])
    if options.json:
        rows = [asdict(outcome) for outcome in outcomes]
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
