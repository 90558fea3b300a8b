"""PyTorch's side of a benchmark, as a process: see `pock.demo.torch_steps`.

python -m benchmarks.torch_worker WORKLOAD THREADS FORMAT
"""

import sys

from benchmarks.pytorch_baselines import WORKLOADS
from pock.demo.torch_steps import serve

if __name__ == "__main__":
    serve(WORKLOADS[sys.argv[1]], int(sys.argv[2]), sys.argv[3])
