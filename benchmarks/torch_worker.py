"""PyTorch's side of a benchmark: runs steps of one workload when told to, see benchmarks/step.py."""

from __future__ import annotations

import resource
import sys
import time

import torch

from benchmarks.pytorch_baselines import WORKLOADS


def main() -> None:
    """Arguments: workload, threads. A number of steps per line on standard input."""
    torch.set_num_threads(int(sys.argv[2]))
    baseline = WORKLOADS[sys.argv[1]]()
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            loss = baseline.step()
        spent = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{spent:.9f} {float(loss):.6f} {peak}", flush=True)


if __name__ == "__main__":
    main()
