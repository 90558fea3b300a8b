"""How long pock itself takes, before the C compiler, and how that grows with the model.

Times are CPU seconds of this process (the machine may be shared): import from PyTorch, passes with
all checkers, and emission of the C text. The second table compiles BERT encoders of growing depth
and divides by the number of ops of the training step: the quotient must not grow.

    python -m benchmarks.compile_time [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.step import machine
from pock.compiler import Job, compile_job
from pock.zoo import bert, resnet
from pock_ir.passes.optimizer import AdamW

DEPTHS = (12, 24, 48)


@dataclass(frozen=True)
class Measured:
    """One compilation: ops of the training step after autodiff, CPU seconds in all and by part."""

    model: str
    ops: int
    seconds: float
    passes: float

    @property
    def milliseconds_per_op(self) -> float:
        return 1e3 * self.seconds / self.ops


def resnet50_job() -> Job:
    images, labels = torch.randn(1, 3, 224, 224), torch.tensor([1])
    return _job(resnet.resnet50().train(), (images,), labels)


def bert_job(layers: int, small: bool = False) -> Job:
    """BERT-base, or an encoder of the same structure with small matrices and `layers` layers."""
    config = dataclasses.replace(bert.BERT_BASE.without_dropout(), layers=layers)
    if small:
        narrow = bert.TINY
        config = dataclasses.replace(narrow.without_dropout(), layers=layers)
    ids = torch.randint(0, config.vocabulary, (1, 16))
    model = bert.bert_classifier(config, 7).train()
    return _job(model, (ids, torch.ones_like(ids)), torch.tensor([1]))


def _job(model: torch.nn.Module, inputs: tuple[Any, ...], labels: torch.Tensor) -> Job:
    return Job(model, inputs, labels, optimizer=AdamW(lr=1e-4), name="measured")


def measure(name: str, build: Callable[[], Job]) -> Measured:
    """Compile one job, without running the C compiler."""
    job = build()
    start = time.process_time()
    program = compile_job(job)
    seconds = time.process_time() - start
    savings = program.report().savings
    if savings is None:
        raise SystemExit(f"{name} was compiled without training")
    return Measured(name, savings.scheme.ops, seconds, sum(program.report().seconds.values()))


def show(row: Measured) -> None:
    print(
        f"{row.model:24} {row.ops:7} {row.seconds:9.1f} {row.passes:9.1f} "
        f"{row.milliseconds_per_op:10.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    measure("warm-up", lambda: bert_job(1, small=True))  # imports, PyTorch's first export
    print(f"{machine()}; CPU seconds")
    print(f"{'model':24} {'ops':>7} {'seconds':>9} {'passes':>9} {'ms per op':>10}")
    rows: list[Measured] = []
    jobs: list[tuple[str, Callable[[], Job]]] = [
        ("ResNet-50", resnet50_job),
        ("BERT-base", lambda: bert_job(12)),
    ]
    jobs += [(f"BERT, {n} layers", lambda n=n: bert_job(n, small=True)) for n in DEPTHS]
    for name, build in jobs:
        rows.append(measure(name, build))
        show(rows[-1])
    if options.json:
        text = json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
