"""Where a training step's time goes: every kernel call timed, beside its work and its traffic.

The generated program is rebuilt with a clock around each kernel call (about 100 ns each). With one
thread that is the thread's own clock, so that other work on the machine counts little. GFLOP/s
count the operations as the ops of the kernel state them; GB/s count each operand and result once,
as if nothing were in a cache before. Of several steps the median of each call is taken.

    python -m benchmarks.profile [--threads 1] [--steps 20] [--calls 25] WORKLOAD
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from benchmarks.workloads import WORKLOADS
from pock.compiler import compile_job
from pock.measure import build_driver
from pock.program import Program
from pock_ir.dialects import mem
from pock_ir.op import PockOp
from pock_ir.pipeline import Observer, Step
from pock_ir.targets.c.program.layout import Call

INSTRUMENT = """
#include <stdio.h>
#include <time.h>
static double profile_times[100000];
static size_t profile_count;

static double profile_now(void) {
  struct timespec t;
  clock_gettime(CLOCK, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_step(const NAME_context *context, const struct step *step,
                     const struct frame *frame) {
  const double start = profile_now();
  run_step_plain(context, step, frame);
  profile_times[profile_count++] = profile_now() - start;
}

/* One line per call on the error output; then the next step starts at the first call again. */
void profile_print(void);
void profile_print(void) {
  for (size_t i = 0; i < profile_count; i++) fprintf(stderr, "%.3f ", 1e6 * profile_times[i]);
  fprintf(stderr, "\\n");
  profile_count = 0;
}
"""

WARMUP_STEPS = 3


class Flops(Observer):
    """Keeps the floating point operations of each distinct kernel, by symbol."""

    def __init__(self) -> None:
        self.by_kernel: dict[str, int] = {}

    def after(self, step: Step, module: ModuleOp) -> None:
        if step.index != step.total - 1:
            return
        for kernel in mem.kernels(module):
            ops = [op for op in kernel.call.body.block.ops if isinstance(op, PockOp)]
            self.by_kernel[kernel.sym_name.data] = sum(op.flops() for op in ops)


@dataclass(frozen=True)
class Row:
    """One kernel call: microseconds, floating point operations and bytes of its arrays."""

    call: Call
    microseconds: float
    flops: int
    parts: int

    @property
    def bytes(self) -> int:
        return sum(place.spec.bytes for place in (*self.call.operands, *self.call.results))

    @property
    def kernel(self) -> str:
        return self.call.meaning.rpartition(" as ")[2]

    @property
    def shapes(self) -> str:
        inputs = ", ".join(place.spec.text() for place in self.call.operands[:2])
        results = ", ".join(place.spec.text() for place in self.call.results[:1])
        return f"{inputs} -> {results}"


def instrumented(source: str, name: str, threads: int) -> str:
    """The program's C text with a clock around every kernel call."""
    clock = "CLOCK_THREAD_CPUTIME_ID" if threads == 1 else "CLOCK_MONOTONIC"
    timed = INSTRUMENT.replace("NAME", name).replace("(CLOCK,", f"({clock},")
    plain = source.replace("static void run_step(", "static void run_step_plain(", 1)
    head, marker, rest = plain.partition("static void run_step_plain(")
    body, end, tail = rest.partition("\n}\n")
    return f"#define _POSIX_C_SOURCE 200809L\n{head}{marker}{body}{end}{timed}{tail}"


def call_times(program: Program, arrays: Sequence[object], steps: int, folder: Path) -> list[float]:
    """The median microseconds of each call of the training step."""
    name = program.layout.name
    source = f"src/{name}.c"
    text = instrumented(program.files[source].decode(), name, program.layout.target.threads)
    files = {**program.files, source: text.encode()}
    timed = Program(program.layout, files, program.details)
    command = build_driver(timed, arrays, folder, after_step="profile_print")
    lines = "1\n" * (WARMUP_STEPS + steps)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    samples = [[float(word) for word in line.split()] for line in done.stderr.splitlines()]
    return [statistics.median(column) for column in zip(*samples[WARMUP_STEPS:], strict=True)]


def profile(key: str, threads: int, steps: int) -> list[Row]:
    """Every call of a workload's training step, in order."""
    job, arrays = WORKLOADS[key](threads)
    flops = Flops()
    program = compile_job(job, (flops,))
    with tempfile.TemporaryDirectory(prefix="pock-profile-") as folder:
        times = call_times(program, arrays, steps, Path(folder))
    entry = program.layout.entry("train_step")
    parts = {kernel.symbol: kernel.parts for kernel in program.layout.kernels}
    calls = entry.calls if entry else ()
    return [
        Row(call, time, flops.by_kernel[call.kernel], parts[call.kernel])
        for call, time in zip(calls, times, strict=True)
    ]


def line(name: str, count: int, rows: Sequence[Row], total: float, detail: str = "") -> str:
    spent = sum(row.microseconds for row in rows) or 1e-9
    flops, size = sum(row.flops for row in rows), sum(row.bytes for row in rows)
    return (
        f"{name:34} {count:5} {spent / 1e3:9.3f} {100 * spent / total:5.1f} "
        f"{flops / spent / 1e3:8.1f} {size / spent / 1e3:7.1f}  {detail}"
    )


def main() -> None:
    """Profile one workload."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--calls", type=int, default=25, help="how many single calls to list")
    parser.add_argument("workload", choices=list(WORKLOADS))
    options = parser.parse_args()
    rows = profile(options.workload, options.threads, options.steps)
    total = sum(row.microseconds for row in rows)
    families: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        families[row.kernel].append(row)
    print(f"{options.workload}, {options.threads} threads: {total / 1e3:.2f} ms in kernels")
    print(f"{'kernel':34} {'calls':>5} {'ms':>9} {'%':>5} {'GFLOP/s':>8} {'GB/s':>7}")
    for name, group in sorted(families.items(), key=lambda item: -_spent(item[1])):
        print(line(name, len(group), group, total))
    print(f"\n{'slowest calls':34} {'parts':>5} {'ms':>9} {'%':>5} {'GFLOP/s':>8} {'GB/s':>7}")
    for row in sorted(rows, key=lambda row: -row.microseconds)[: options.calls]:
        print(line(row.kernel, row.parts, [row], total, f"{row.shapes}  {row.call.meaning}"))


def _spent(rows: Sequence[Row]) -> float:
    return sum(row.microseconds for row in rows)


if __name__ == "__main__":
    main()
