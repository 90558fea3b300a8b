"""Models of torchvision, as narrow and on pictures as small as their constructors allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.census.torch_jobs import CLASSES, of_pictures, pictures
from benchmarks.census.torchvision_cpu import load_torchvision
from pock.compiler import Job

CONSTRUCTORS: Mapping[str, Mapping[str, Any]] = {
    "SwinTransformer": {
        "patch_size": [2, 2],
        "embed_dim": 16,
        "depths": [2, 2],
        "num_heads": [2, 2],
        "window_size": [4, 4],
        "stochastic_depth_prob": 0.2,
    },
    "VisionTransformer": {
        "image_size": 32,
        "patch_size": 8,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 32,
        "mlp_dim": 64,
    },
    "alexnet": {"side": 64, "batch": 2},
    "mobilenet_v2": {"width_mult": 0.25},
    "mobilenet_v3_small": {"width_mult": 0.5},
    "resnet18": {},
    "resnet50": {},
    "shufflenet_v2_x0_5": {},
    "squeezenet1_1": {"side": 64},
}
"""Functions of torchvision.models, classes where these fix every size, and their options."""


def constructed(name: str, options: Mapping[str, Any]) -> Job:
    """The model of a function of torchvision.models with random weights."""
    ours, own = of_pictures(options)

    def make() -> Any:
        return getattr(load_torchvision().models, name)(num_classes=CLASSES, **own)

    return pictures(make, **ours)


MODELS: Mapping[str, Callable[[], Job]] = {
    name: partial(constructed, name, options) for name, options in CONSTRUCTORS.items()
}
"""Name -> what makes the job."""
