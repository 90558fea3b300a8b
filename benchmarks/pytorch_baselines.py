"""The benchmark workloads in PyTorch, as fast as PyTorch runs them in float32.

Dropout is off everywhere, so that the compiled program computes the same; batch norm trains or is
frozen as each function says; optimizers are fused. The memory format is the faster of contiguous
and channels_last, measured on a few steps.

    python -m benchmarks.pytorch_baselines [--threads 2] [--steps 20] [WORKLOAD ...]
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import nn

from pock.demo.baseline import demo_workload
from pock.demo.recipe import HEAD_ONLY, SPARSE
from pock.demo.torch_steps import Workload, fastest_format, pictures, stepper, time_in_turns
from pock.measure import MEASURING_RATE
from pock.zoo import bert, mobilenet


def mobilenet_v2_full(batch: int, width: float = 0.35, side: int = 128) -> Workload:
    """MobileNetV2, all parameters, SGD with momentum; batch norm in training mode.

    Images f32[batch, 3, side, side], labels i64[batch] of 1,000 classes.
    """

    def model() -> nn.Module:
        torch.manual_seed(0)
        return mobilenet.mobilenet_v2(width=width, dropout=0.0).train()

    def train(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=MEASURING_RATE, momentum=0.9, fused=True)

    name = f"MobileNetV2-w{width} {side}x{side} batch {batch}, SGD momentum, full"
    return Workload(name, model, train, "full", *pictures(batch, side, 1000))


def minilm_l6_full(
    optimizer: str = "AdamW", batch: int = 8, length: int = 128, classes: int = 77
) -> Workload:
    """A MiniLM-L6 classifier with mean pooling, all parameters, AdamW or SGD.

    Tokens i64[batch, length] without padding, labels i64[batch].
    """

    def model() -> nn.Module:
        torch.manual_seed(0)
        return bert.bert_classifier(bert.MINILM_L6.without_dropout(), classes).train()

    def train(model: nn.Module) -> torch.optim.Optimizer:
        kind = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}[optimizer]
        return kind(model.parameters(), lr=MEASURING_RATE, fused=True)

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, bert.MINILM_L6.vocabulary, (batch, length), generator=generator)
    labels = torch.randint(0, classes, (batch,), generator=generator)
    inputs = (ids, torch.ones_like(ids))
    name = f"MiniLM-L6 sequence {length} batch {batch}, {optimizer}, full"
    # Tokens have no channels: only one memory format exists.
    return Workload(name, model, train, "full", inputs, labels, ("contiguous",))


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "mobilenet-b1": lambda: mobilenet_v2_full(1),
    "mobilenet-b8": lambda: mobilenet_v2_full(8),
    "efficientnet-head": lambda: demo_workload(HEAD_ONLY, pretrained=False),
    "efficientnet-sparse": lambda: demo_workload(SPARSE, pretrained=False),
    "minilm-b8": minilm_l6_full,
    "minilm-b8-sgd": lambda: minilm_l6_full("SGD"),
}


def main() -> None:
    """Print PyTorch's step time of every workload."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for key in options.workloads:
        workload = WORKLOADS[key]()
        chosen = fastest_format(workload)
        times = time_in_turns({key: stepper(workload, chosen)}, options.steps)[key]
        print(f"{key}: {workload.name}")
        print(
            f"    {chosen}: median {statistics.median(times):.1f} ms, min {min(times):.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
