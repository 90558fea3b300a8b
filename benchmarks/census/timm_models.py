"""Models of timm, narrowed by the options of their constructors, on small pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.census.torch_jobs import CLASSES, of_pictures, pictures
from benchmarks.census.torchvision_cpu import load_torchvision
from pock.compiler import Job

SMALL: Mapping[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32}
HEADS: Mapping[str, Any] = {**SMALL, "depth": 2, "num_heads": 2}
STAGES: Mapping[str, Any] = {"depths": [1] * 4}
WIDTHS: Mapping[str, Any] = {"embed_dims": [16, 16, 32, 32]}

CLASSES_OF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "cait.Cait": {**HEADS, "depth_token_only": 1},
    "convmixer.ConvMixer": {"dim": 32, "depth": 2},
    "mlp_mixer.MlpMixer": {**SMALL, "num_blocks": 2},
    "pit.PoolingVisionTransformer": {"img_size": 32, "base_dims": [8] * 3, "depth": [1] * 3},
    "pvt_v2.PyramidVisionTransformerV2": {**WIDTHS, **STAGES, "num_heads": [1, 1, 2, 2]},
    "twins.Twins": {**WIDTHS, **STAGES, "img_size": 32, "num_heads": [1, 1, 2, 2]},
    "vision_transformer.VisionTransformer": HEADS,
    "volo.VOLO": {
        "img_size": 32,
        "patch_size": 8,
        "embed_dims": [16, 32],
        "layers": [1, 1],
        "num_heads": [2, 2],
        "use_aux_head": False,
    },
    "xcit.Xcit": {**HEADS, "cls_attn_layers": 1},
}
"""Classes of timm.models, for architectures whose functions fix every size, and their options."""

NAMES: Mapping[str, Mapping[str, Any]] = {
    "convnextv2_atto": {**STAGES, "dims": [16, 16, 32, 32]},
    "edgenext_xx_small": {},
    "ghostnet_050": {},
    "repvgg_a0": {},
}
"""timm's names, and the options of their functions."""


def named(name: str, options: Mapping[str, Any]) -> Job:
    """The model that timm calls `name`, or the class "module.Class" of it, with random weights."""
    ours, own = of_pictures(options)

    def make() -> Any:
        load_torchvision()  # timm imports it
        import timm

        module, _, kind = name.rpartition(".")
        if module:
            model_class = getattr(import_module(f"timm.models.{module}"), kind)
            return model_class(num_classes=CLASSES, **own)
        return timm.create_model(name, pretrained=False, num_classes=CLASSES, **own)

    return pictures(make, **ours)


MODELS: Mapping[str, Callable[[], Job]] = {
    name: partial(named, name, options) for name, options in {**CLASSES_OF_MODELS, **NAMES}.items()
}
"""Name -> what makes the job."""
