"""torchvision beside a PyTorch without CUDA.

The wheels of the package index are builds for CUDA, whose library does not load there. Importing
them stops at the first operator of that library that is given a shape function. Declaring these
operators is enough for all but detection, which calls them.
"""

from __future__ import annotations

from typing import Any

DETECTION = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_declared: list[Any] = []
"""Declarations last as long as the library object."""


def load_torchvision() -> Any:
    """The package torchvision, with its missing operators declared if it needs that."""
    try:
        import torchvision
    except RuntimeError as error:
        if _declared or "torchvision::nms" not in str(error):
            raise
        from torch.library import Library

        library = Library("torchvision", "DEF")
        for schema in DETECTION:
            library.define(schema)
        _declared.append(library)
        import torchvision
    return torchvision
