"""Verify full-size models against their framework: loss, every gradient, every updated tensor.

    python -m benchmarks.verify_full_size                 # a table
    python -m benchmarks.verify_full_size --json          # one JSON object per model
    python -m benchmarks.verify_full_size --models minilm-l6 --steps 1 --target host:threads=2
    python -m benchmarks.verify_full_size --frozen-statistics  # batch norm as in fine-tuning

Batches are small, because what is compared does not depend on them; weights are random, from a
fixed seed, which makes batch norm over two samples amplify rounding as much as it ever will. Each
model is verified in a process of its own; BERT-base with AdamW takes 9 GB of RAM.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from benchmarks.keras_applications import application
from benchmarks.verification import numbers
from pock.compiler import Job
from pock.verify import verify_program
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
    "bert-base": lambda: sentences(BERT_BASE, 2, AdamW(lr=1e-4)),
    "keras-mobilenet-v2": lambda: application("MobileNetV2", 8, alpha=0.35),
    "keras-resnet-50": lambda: application("ResNet50", 8),
    "keras-efficientnet-b0": lambda: application("EfficientNetB0", 8),
}


def measure(name: str, steps: int, target: str, frozen: bool) -> dict[str, Any]:
    """Verify one model; see `benchmarks.verification.numbers`.

    frozen: batch norm takes stored statistics, and there is no dropout.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    job = replace(JOBS[name](), target=target, name="net")
    if isinstance(job.model, torch.nn.Module):
        job.model.train(not frozen)
    elif frozen:
        raise SystemExit(f"{name}: --frozen-statistics is for PyTorch models")
    start = time.perf_counter()
    found = verify_program(job, steps)
    seconds = time.perf_counter() - start
    return {
        "model": name,
        "target": target,
        "steps": steps,
        "frozen_statistics": frozen,
        **numbers(found),
        "seconds": round(seconds, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def apart(name: str, steps: int, target: str, frozen: bool) -> dict[str, Any]:
    """`measure` in a process of its own, which gives back all of its memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(measure, name, steps, target, frozen).result()


COLUMNS = ("tensors", "within", "closer", "repeated")


def line(row: Mapping[str, Any]) -> str:
    """One row of the table."""
    counts = " ".join(f"{row[column]:8}" for column in COLUMNS)
    ratio = f"{'-':>8}" if row["ratio"] is None else f"{row['ratio']:8.2f}"
    noise = f"{'-':>8}" if row["noise"] is None else f"{row['noise']:8.1e}"
    worst = "  ".join(
        f"{row[f'worst_{kind}']['error']:8.1e}" for kind in ("loss", "gradient", "updated")
    )
    verdict = "agrees" if row["passed"] else f"{len(row['differing'])} DIFFER"
    effort = f"{row['seconds']:8.1f} {row['peak_gb']:6.2f}"
    return f"{row['model']:20} {counts} {ratio} {noise}  {worst}  {effort}  {verdict}"


HEADER = (
    f"{'model':20} {' '.join(f'{column:>8}' for column in COLUMNS)} {'ratio':>8} {'noise':>8}  "
    f"{'loss':>8}  {'gradient':>8}  {'updated':>8}  {'seconds':>8} {'GB':>6}"
)


def main() -> int:
    """Print the table, or JSON lines; 1 if a tensor differs."""
    parser = argparse.ArgumentParser(description="Verify full-size models against PyTorch.")
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--target", default="host")
    parser.add_argument("--frozen-statistics", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    passed = True
    if not options.json:
        print(HEADER, flush=True)
    for name in options.models:
        row = apart(name, options.steps, options.target, options.frozen_statistics)
        passed = passed and row["passed"]
        print(json.dumps(row) if options.json else line(row), flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
