"""One MobileNetV2 from three frameworks: do they become the same training program?

The same layers and weights come from PyTorch, flax and Keras on JAX (see `mobilenets`). For each:
the ops of the training step, the CPU seconds of import and compilation before the C compiler, and
the time of one step beside the program that came from PyTorch, in turns; above 1 is faster. The
turns check that both programs compute the same loss.

    python -m benchmarks.frontends [--batch 8] [--threads 2] [--turns 15] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from benchmarks.mobilenets import JOBS, batch
from benchmarks.step import machine
from pock.compiler import compile_job
from pock.measure import Comparison, Worker, build_driver, in_turns
from pock_ir.interpret import find_function
from pock_ir.pipeline import Observer, Step
from pock_ir.types import Array


class CountOps(Observer):
    """Counts the ops of the training function: after raising, and with gradients and updates."""

    def __init__(self) -> None:
        self.ops: dict[str, int] = {}

    def after(self, step: Step, module: ModuleOp) -> None:
        functions = {"raise": "train", "optimizer": "train_step"}
        if step.stage.name in functions:
            function = find_function(module, functions[step.stage.name])
            self.ops[step.stage.name] = len(list(function.body.block.ops))


@dataclass(frozen=True)
class Row:
    """One framework; seconds are CPU seconds, comparison is with PyTorch's program."""

    raised_ops: int
    training_ops: int
    import_and_compile_seconds: float
    comparison: Comparison | None


def measure(names: Sequence[str], size: int, threads: int, turns: int) -> dict[str, Row]:
    """The rows of `names`, of which the first is what the others are compared with."""
    target = f"host:threads={threads}" if threads > 1 else "host"
    with tempfile.TemporaryDirectory(prefix="pock-bench-") as folder:
        built = {name: _build(name, size, target, Path(folder) / name) for name in names}
        first, counts, seconds = built[names[0]]
        rows = {names[0]: Row(counts["raise"], counts["optimizer"], seconds, None)}
        for name in names[1:]:
            command, counts, seconds = built[name]
            with Worker(command) as own, Worker(first) as other:
                comparison = in_turns(own, other, turns)
            rows[name] = Row(counts["raise"], counts["optimizer"], seconds, comparison)
    return rows


def _build(
    name: str, size: int, target: str, folder: Path
) -> tuple[Sequence[str], dict[str, int], float]:
    job = JOBS[name](size, target)
    compile_job(JOBS[name](1, target))  # what is done once in a process is not the model's
    counter = CountOps()
    start = time.process_time()
    program = compile_job(job, (counter,))
    seconds = time.process_time() - start
    folder.mkdir()
    return build_driver(program, _arrays(name, size), folder), counter.ops, seconds


def _arrays(name: str, size: int) -> list[Array]:
    pictures, labels = batch(size)
    if name == "torch":
        return [pictures, labels]
    return [pictures.transpose(0, 2, 3, 1).copy(), labels.astype("int32")]


def main() -> None:
    """Print the table; write it with --json."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(list(JOBS), options.batch, options.threads, options.turns)
    print(f"{machine()}; batch {options.batch}; {options.threads} threads")
    print(f"{'from':8} {'raised':>7} {'training':>9} {'compile s':>10} {'step':>7} {'(range)':>13}")
    for name, row in rows.items():
        text = f"{name:8} {row.raised_ops:7} {row.training_ops:9} "
        text += f"{row.import_and_compile_seconds:10.1f}"
        if row.comparison is not None:
            low, high = row.comparison.ratio_low, row.comparison.ratio_high
            text += f" {row.comparison.ratio:6.2f}x {f'({low:.2f}-{high:.2f})':>13}"
        print(text)
    if options.json:
        document = {"machine": machine(), "rows": {name: asdict(row) for name, row in rows.items()}}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
