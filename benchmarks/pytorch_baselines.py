"""The benchmark workloads in PyTorch, as fast as PyTorch runs them in float32.

Each function builds one workload and returns a Baseline whose `step()` runs one training step on a
fixed batch: forward, backward and the fused optimizer.  The memory format is the faster of
contiguous and channels_last, measured here on a few steps.  Dropout is off everywhere, so that the
compiled program computes the same; batch norm trains or is frozen as each function says.

    python -m benchmarks.pytorch_baselines [--threads 2] [--steps 20]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pock.demo.recipe import HEAD_ONLY, RECIPE, SPARSE, Run, trained_ratios
from pock.zoo import bert, mobilenet
from pock.zoo.efficientnet_lite import efficientnet_lite0

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
WARMUP_STEPS = 3
FORMAT_STEPS = 8


@dataclass(frozen=True)
class Baseline:
    """A workload ready to run.

    `step()` runs one training step and returns the loss before it, f32[].  `milliseconds` is the
    median of a step in each memory format that was tried.
    """

    name: str
    step: Callable[[], Tensor]
    model: nn.Module
    memory_format: str
    milliseconds: dict[str, float]


def mobilenet_v2_full(batch: int, width: float = 0.35, side: int = 128) -> Baseline:
    """MobileNetV2, all parameters, SGD with momentum; batch norm in training mode.

    Images f32[batch, 3, side, side], labels i64[batch] of 1,000 classes.
    """

    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = mobilenet.mobilenet_v2(width=width, dropout=0.0).train()
        return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)

    name = f"MobileNetV2-w{width} {side}x{side} batch {batch}, SGD momentum, full"
    return _fastest(name, build, *_pictures(batch, side, 1000))


def efficientnet_lite0_run(run: Run = SPARSE) -> Baseline:
    """EfficientNet-Lite0 as a run of the demo trains it: Adam, batch norm frozen.

    Images f32[8, 3, 128, 128], labels i64[8] of 14 classes (the sizes of the demo's recipe).
    PyTorch has no gradient of a part of a weight: a weight with a ratio below 1 gets its whole
    gradient, of which the untrained channels are then cleared.
    """

    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = efficientnet_lite0(classes=14, dropout=0.0).eval()
        trained = train_only(model, run)
        betas, epsilon = RECIPE.adam_betas, RECIPE.adam_epsilon
        return model, torch.optim.Adam(trained, run.peak_rate, betas, epsilon, fused=True)

    name = f"EfficientNet-Lite0 {RECIPE.side}x{RECIPE.side} batch {RECIPE.batch}, Adam, {run.name}"
    return _fastest(name, build, *_pictures(RECIPE.batch, RECIPE.side, 14))


def minilm_l6_full(batch: int = 8, length: int = 128, classes: int = 77) -> Baseline:
    """A MiniLM-L6 classifier with mean pooling, all parameters, AdamW.

    Tokens i64[batch, length] without padding, labels i64[batch].
    """

    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = bert.bert_classifier(bert.MINILM_L6.without_dropout(), classes).train()
        return model, torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, bert.MINILM_L6.vocabulary, (batch, length), generator=generator)
    labels = torch.randint(0, classes, (batch,), generator=generator)
    inputs = (ids, torch.ones_like(ids))
    name = f"MiniLM-L6 sequence {length} batch {batch}, AdamW, full"
    # Tokens have no channels: only one memory format exists.
    return _fastest(name, build, inputs, labels, formats=("contiguous",))


def train_only(model: nn.Module, run: Run) -> list[nn.Parameter]:
    """Freeze all parameters but those of the run, and return those in the model's order."""
    ratios = trained_ratios(run, [name for name, _ in model.named_parameters()])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in ratios)
        if ratios.get(name, 1.0) < 1.0:
            kept = int(parameter.shape[1] * ratios[name])
            parameter.register_post_accumulate_grad_hook(_clear_channels_from(kept))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _clear_channels_from(kept: int) -> Callable[[Tensor], None]:
    def clear(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad[:, kept:].zero_()

    return clear


def _pictures(batch: int, side: int, classes: int) -> tuple[tuple[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch, 3, side, side, generator=generator) * 2.0 - 1.0
    return (images,), torch.randint(0, classes, (batch,), generator=generator)


def _fastest(
    name: str,
    build: Callable[[], tuple[nn.Module, torch.optim.Optimizer]],
    inputs: tuple[Tensor, ...],
    labels: Tensor,
    formats: tuple[str, ...] = tuple(FORMATS),
) -> Baseline:
    """Build the workload in each memory format, time both in turns, keep the faster."""
    candidates = {}
    for memory_format in formats:
        torch.manual_seed(0)
        candidates[memory_format] = _stepper(*build(), inputs, labels, memory_format)
    times = time_in_turns({key: step for key, (step, _) in candidates.items()}, FORMAT_STEPS)
    milliseconds = {key: statistics.median(values) for key, values in times.items()}
    best = min(milliseconds, key=milliseconds.__getitem__)
    step, model = candidates[best]
    return Baseline(name, step, model, best, milliseconds)


def _stepper(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: tuple[Tensor, ...],
    labels: Tensor,
    memory_format: str,
) -> tuple[Callable[[], Tensor], nn.Module]:
    # The conversion keeps the parameter objects, so that the optimizer still refers to them.
    model.to(memory_format=FORMATS[memory_format])  # pyright: ignore[reportCallIssue]
    placed = [
        x.contiguous(memory_format=FORMATS[memory_format]) if x.dim() == 4 else x for x in inputs
    ]

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(*placed), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, model


def time_in_turns(steps: dict[str, Callable[[], object]], count: int) -> dict[str, list[float]]:
    """Milliseconds of `count` calls of each step, in turns, so that all meet the same load."""
    for step in steps.values():
        for _ in range(WARMUP_STEPS):
            step()
    times: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(count):
        for key, step in steps.items():
            start = time.perf_counter()
            step()
            times[key].append((time.perf_counter() - start) * 1e3)
    return times


WORKLOADS: dict[str, Callable[[], Baseline]] = {
    "mobilenet-b1": lambda: mobilenet_v2_full(1),
    "mobilenet-b8": lambda: mobilenet_v2_full(8),
    "efficientnet-head": lambda: efficientnet_lite0_run(HEAD_ONLY),
    "efficientnet-sparse": lambda: efficientnet_lite0_run(SPARSE),
    "minilm-b8": lambda: minilm_l6_full(),
}


def main() -> None:
    """Print the step time of every workload."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for key in options.workloads:
        baseline = WORKLOADS[key]()
        times = time_in_turns({key: baseline.step}, options.steps)[key]
        tried = ", ".join(f"{k} {v:.1f}" for k, v in baseline.milliseconds.items())
        print(f"{key}: {baseline.name}")
        print(
            f"    {baseline.memory_format}: median {statistics.median(times):.1f} ms, "
            f"min {min(times):.1f} ms (when choosing: {tried})",
            flush=True,
        )


if __name__ == "__main__":
    main()
