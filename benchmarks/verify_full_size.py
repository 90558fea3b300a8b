"""Verify full-size models against PyTorch: loss, every gradient, every updated tensor.

    python -m benchmarks.verify_full_size                 # a table
    python -m benchmarks.verify_full_size --json          # one JSON object per model
    python -m benchmarks.verify_full_size --models minilm-l6 --steps 3 --target host:threads=2

Batches are small, because what is compared does not depend on them; weights are random, from a
fixed seed. BERT-base needs about 8 GB of RAM for the float64 run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from pock.compiler import Job
from pock.verify import Verification, verify_program
from pock.zoo.bert import BERT_BASE, MINILM_L6, BertConfig, bert_classifier
from pock.zoo.efficientnet_lite import efficientnet_lite0
from pock.zoo.mobilenet import mobilenet_v2
from pock.zoo.resnet import resnet50
from pock_ir.passes.optimizer import SGD, AdamW, Optimizer

LENGTH = 64
"""Tokens per sequence."""


def pictures(model: torch.nn.Module, batch: int) -> Job:
    """A classifier of 224x224 pictures with 1,000 classes; batch norm in training mode."""
    labels = torch.arange(batch) * 7
    optimizer = SGD(lr=1e-3, momentum=0.9)
    return Job(model.train(), (torch.randn(batch, 3, 224, 224),), labels, optimizer=optimizer)


def sentences(config: BertConfig, batch: int, optimizer: Optimizer) -> Job:
    """A classifier of token sequences, one of them half padding, with dropout."""
    tokens = torch.randint(0, config.vocabulary, (batch, LENGTH))
    mask = torch.ones_like(tokens)
    mask[-1, LENGTH // 2 :] = 0
    labels = torch.arange(batch) % 3
    model = bert_classifier(config, 3).train()
    return Job(model, (tokens, mask), labels, optimizer=optimizer)


JOBS: Mapping[str, Callable[[], Job]] = {
    "mobilenet-v2": lambda: pictures(mobilenet_v2(), 2),
    "efficientnet-lite0": lambda: pictures(efficientnet_lite0(), 2),
    "resnet-50": lambda: pictures(resnet50(), 2),
    "minilm-l6": lambda: sentences(MINILM_L6, 2, AdamW(lr=1e-4)),
    "bert-base": lambda: sentences(BERT_BASE, 2, SGD(lr=1e-3)),
}


def measure(name: str, steps: int, target: str) -> dict[str, Any]:
    """Verify one model; errors are relative, in the Euclidean norm."""
    torch.manual_seed(0)
    job = JOBS[name]()
    start = time.perf_counter()
    found = verify_program(Job(**{**vars(job), "target": target, "name": "net"}), steps)
    return {
        "model": name,
        "target": target,
        "steps": steps,
        "passed": found.passed,
        "tensors": len(found.rows),
        "within_tolerance_or_closer": sum(row.is_close for row in found.rows),
        "amplified": len(found.amplified()),
        "differing": [f"{r.step} {r.kind} {r.name}" for r in found.differing()],
        **{f"worst_{kind}": _worst(found, kind) for kind in ("loss", "gradient", "updated")},
        "seconds": round(time.perf_counter() - start, 1),
    }


def _worst(found: Verification, kind: str) -> dict[str, Any]:
    row = found.worst(kind)
    return {"name": row.name, "error": row.error, "own": row.own, "framework": row.framework}


def line(row: Mapping[str, Any]) -> str:
    """One row of the table."""
    worst = "  ".join(
        f"{row[f'worst_{kind}']['error']:8.1e}" for kind in ("loss", "gradient", "updated")
    )
    verdict = "agrees" if row["passed"] else f"{len(row['differing'])} DIFFER"
    counts = f"{row['tensors']:7} {row['within_tolerance_or_closer']:7} {row['amplified']:9}"
    return f"{row['model']:20} {counts}  {worst}  {row['seconds']:7.1f}  {verdict}"


HEADER = (
    f"{'model':20} {'tensors':>7} {'close':>7} {'amplified':>9}  "
    f"{'loss':>8}  {'gradient':>8}  {'updated':>8}  {'seconds':>7}"
)


def main() -> int:
    """Print the table, or JSON lines; 1 if a tensor differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--target", default="host")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    passed = True
    if not options.json:
        print(HEADER)
    for name in options.models:
        row = measure(name, options.steps, options.target)
        passed = passed and row["passed"]
        print(json.dumps(row) if options.json else line(row), flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
