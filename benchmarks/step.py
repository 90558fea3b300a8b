"""Whole training steps against PyTorch eager: one alternating run, float32, the same work.

Each workload runs in two processes: PyTorch, and a C program around the generated code with no
Python in it. They take turns, a few steps each, so that both meet the same load on the machine.
Printed are the medians, their ratio (above 1: pock is faster), the processor time (with one thread
the figure that other work on the machine changes least), and both processes' peak memory.

    python -m benchmarks.step [--threads 2] [--turns 15] [--json FILE] [WORKLOAD ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.workloads import WORKLOADS
from pock.build import find_compiler
from pock.compiler import compile_job
from pock.demo.torch_steps import worker_command
from pock.measure import Comparison, Worker, build_driver, in_turns
from pock_ir import VERSION

REPOSITORY = Path(__file__).parent.parent
HEADINGS = "{:20} {:>9} {:>9} {:>7} {:>11} {:>9} {:>9} {:>6} {:>9} {:>9} {:>6}".format(
    *("workload", "pock ms", "torch ms", "faster", "(range)"),
    *("cpu ms", "cpu ms", "less", "pock MiB", "torch MiB", "less"),
)


def measure(key: str, threads: int, turns: int, folder: Path) -> Comparison:
    """Run one workload in turns with PyTorch; `folder` receives the program."""
    job, arrays = WORKLOADS[key](threads)
    own = build_driver(compile_job(job), arrays, folder)
    theirs = worker_command("benchmarks.torch_worker", key, threads, REPOSITORY)
    with Worker(own) as ours, Worker(theirs, REPOSITORY) as other:
        return in_turns(ours, other, turns)


def row_text(key: str, row: Comparison) -> str:
    return (
        f"{key:20} {row.own_ms:9.2f} {row.other_ms:9.2f} "
        f"{row.ratio:6.2f}x {f'({row.ratio_low:.2f}-{row.ratio_high:.2f})':>11} "
        f"{row.own_cpu_ms:9.2f} {row.other_cpu_ms:9.2f} {row.other_cpu_ms / row.own_cpu_ms:5.2f}x "
        f"{row.own_kib / 1024:9.1f} {row.other_kib / 1024:9.1f} "
        f"{row.other_kib / row.own_kib:5.1f}x"
    )


def machine() -> str:
    """The machine and the versions, for the table's caption."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    compiler = subprocess.run([find_compiler(), "--version"], capture_output=True, text=True)
    return f"{model}; {compiler.stdout.splitlines()[0]}; pock {VERSION}; torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def main() -> None:
    """Measure the workloads that the command line names, or all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    options = parser.parse_args()
    print(f"{machine()}; {options.threads} threads; medians of {options.turns} turns")
    print(HEADINGS)
    rows: dict[str, Comparison] = {}
    for key in options.workloads:
        with tempfile.TemporaryDirectory(prefix="pock-bench-") as folder:
            rows[key] = measure(key, options.threads, options.turns, Path(folder))
        print(row_text(key, rows[key]), flush=True)
    if options.json:
        document = {"machine": machine(), "rows": {key: asdict(row) for key, row in rows.items()}}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
