"""Jobs of PyTorch models for the census: the same batches and optimizer for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pock
from pock.compiler import Job

BATCH = 4
"""Token sequences in a batch."""

PICTURES = 8
"""Pictures in a batch: batch norm amplifies rounding errors over few samples."""

CLASSES = 7

SIDE = 32
"""Height and width of a picture in pixels."""

OF_PICTURES = ("side", "batch")
"""Options of `pictures`; the others are a constructor's."""


def of_pictures(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arguments of `pictures`, arguments of the constructor) of one mapping."""
    ours = {key: value for key, value in options.items() if key in OF_PICTURES}
    return ours, {key: value for key, value in options.items() if key not in ours}


def prepare() -> None:
    """Make random weights the same in every run, and let others use the machine."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)


def pictures(make: Callable[[], Any], side: int = SIDE, batch: int = PICTURES) -> Job:
    """A job that trains a classifier of RGB pictures in training mode.

    make: builds the torch.nn.Module. side: height and width in pixels.
    """
    import torch

    prepare()
    model = make().train()
    return job(model, (_smooth(batch, side),), torch.arange(batch) % CLASSES)


def _smooth(batch: int, side: int) -> Any:
    """Pictures f32[batch, 3, side, side] with a colour, large shapes and some noise.

    Pictures of noise alone are all alike once they are pooled. Batch norm then divides by the
    small differences between them, which amplifies rounding errors, on every side.
    """
    import torch
    import torch.nn.functional as F

    shapes = F.interpolate(torch.randn(batch, 3, 4, 4), (side, side), mode="bilinear")
    return 1.5 * shapes + torch.randn(batch, 3, 1, 1) + 0.3 * torch.randn(batch, 3, side, side)


def job(model: Any, inputs: Any, targets: Any, loss: Any = "cross_entropy") -> Job:
    """Plain SGD: its update shows an error of a gradient at its own size."""
    return Job(model, inputs, targets, loss, pock.SGD(lr=0.01), name="net")


def token_loss(outputs: Mapping[str, Any], targets: Any) -> Any:
    """Cross entropy of logits f32[B, T, V] and labels i64[B, T]."""
    import torch.nn.functional as F

    return F.cross_entropy(outputs["logits"].flatten(0, 1), targets.flatten())
