"""The demo's two runs as PyTorch trains them: `python -m pock.demo.baseline RUN THREADS FORMAT`.

PyTorch has no gradient of a part of a weight: a weight with a ratio below 1 gets its whole
gradient, of which the untrained channels are then cleared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pock.demo.fruit import CLASSES
from pock.demo.recipe import HEAD_ONLY, RECIPE, SPARSE, Run, scheme_of, trained_ratios
from pock.demo.torch_steps import Workload, pictures, serve
from pock.measure import MEASURING_RATE
from pock.zoo.efficientnet_lite import efficientnet_lite0, pretrained_efficientnet_lite0

RUNS = {"head": HEAD_ONLY, "sparse": SPARSE}


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


def adam(model: nn.Module, run: Run) -> torch.optim.Optimizer:
    """The recipe's optimizer over the run's parameters; all others are frozen."""
    betas, epsilon = RECIPE.adam_betas, RECIPE.adam_epsilon
    return torch.optim.Adam(train_only(model, run), MEASURING_RATE, betas, epsilon, fused=True)


def demo_model(pretrained: bool = True) -> nn.Module:
    """EfficientNet-Lite0 with a new classifier, batch norm frozen, no dropout.

    Raises RuntimeError if the pretrained weights are missing.
    """
    if pretrained:
        return pretrained_efficientnet_lite0(len(CLASSES), dropout=0.0).eval()
    torch.manual_seed(0)
    return efficientnet_lite0(len(CLASSES), dropout=0.0).eval()


def demo_workload(run: Run, pretrained: bool = True) -> Workload:
    """A run of the demo on one batch of noise: f32[8, 3, 128, 128], labels i64[8]."""
    size = f"{RECIPE.side}x{RECIPE.side} batch {RECIPE.batch}"
    return Workload(
        f"EfficientNet-Lite0 {size}, Adam, {run.name}",
        lambda: demo_model(pretrained),
        lambda model: adam(model, run),
        scheme_of(run),
        *pictures(RECIPE.batch, RECIPE.side, len(CLASSES)),
    )


if __name__ == "__main__":
    serve(lambda: demo_workload(RUNS[sys.argv[1]]), int(sys.argv[2]), sys.argv[3])
