"""The benchmark workloads as pock compiles them: the models and batches of `pytorch_baselines`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import pytorch_baselines
from pock.compiler import Job
from pock.demo.torch_steps import Workload

JobAndArrays = tuple[Job, list[np.ndarray]]


def job_of(workload: Workload, threads: int, recompute: str = "none") -> JobAndArrays:
    """The job of a workload for this machine, and its batch: inputs, then labels.

    The optimizer is PyTorch's own, over a second model: freezing and hooks stay out of the model
    that is compiled, whose update scheme says what trains.
    """
    job = Job(
        model=workload.model(),
        example_inputs=workload.inputs,
        example_targets=workload.labels,
        optimizer=workload.train(workload.model()),
        update=workload.update,
        target=f"host:threads={threads}" if threads > 1 else "host",
        name="bench",
        recompute=recompute,
    )
    return job, [tensor.numpy() for tensor in (*workload.inputs, workload.labels)]


# Encoders keep many activations; the convolutional nets are far below PyTorch's memory without.
RECOMPUTED = ("minilm-b8", "minilm-b8-sgd")


def _job(key: str, threads: int) -> JobAndArrays:
    recompute = "cheap" if key in RECOMPUTED else "none"
    return job_of(pytorch_baselines.WORKLOADS[key](), threads, recompute)


WORKLOADS: dict[str, Callable[[int], JobAndArrays]] = {
    key: partial(_job, key) for key in pytorch_baselines.WORKLOADS
}
