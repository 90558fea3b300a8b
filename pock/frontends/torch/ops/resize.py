"""Reversal, padding with what is there, and resampling: one op for each dim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.torch.ops.common import (
    normal_axis,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.dialects.border_pad import BorderPadOp
from pock_ir.dialects.resize import ResizeOp
from pock_ir.types import shape_of

aten = torch.ops.aten

BORDERS: Mapping[Any, str] = {
    aten._pad_circular.default: "circular",
    **{
        getattr(aten, f"{prefix}_pad{rank}d").default: mode
        for prefix, mode in (("reflection", "reflect"), ("replication", "edge"))
        for rank in (1, 2, 3)
    },
}

# Older operators take the output's size and one scale per dim, newer ones lists of both.
RESIZES: Mapping[Any, tuple[str, str]] = {
    getattr(getattr(aten, f"{name}{rank}d"), overload): meaning
    for name, ranks, meaning in (
        ("upsample_nearest", (1, 2, 3), ("nearest", "asymmetric")),
        ("_upsample_nearest_exact", (1, 2, 3), ("nearest", "half_pixel")),
        ("upsample_linear", (1,), ("linear", "")),
        ("upsample_bilinear", (2,), ("linear", "")),
        ("upsample_trilinear", (3,), ("linear", "")),
    )
    for rank in ranks
    for overload in ("default", "vec")
}


@handles(aten.flip.default)
def flip(call: Call) -> SSAValue:
    """The order along some dims reversed."""
    x = call.tensor("self")
    for dim in call["dims"]:
        x = call.emit(ReverseOp, x, axis=normal_axis(dim, len(shape_of(x))))
    return x


@handles(*BORDERS)
def pad(call: Call) -> SSAValue:
    """Elements from within before and behind the last dims."""
    x = call.tensor("self")
    amounts: Sequence[int] = call["pad" if "pad" in call.names() else "padding"]
    for index in range(len(amounts) // 2):
        low, high = amounts[2 * index : 2 * index + 2]
        call.require(min(low, high) >= 0, "padding that cuts is supported for constants only")
        axis = len(shape_of(x)) - 1 - index
        if low or high:
            mode = BORDERS[call.node.target]
            x = call.emit(BorderPadOp, x, axis=axis, low=low, high=high, mode=mode)
    return x


@handles(*RESIZES)
def resize(call: Call) -> SSAValue:
    """The spatial dims resampled, the last one first.

    PyTorch computes places from a scale that was given; it must be the ratio of the sizes.
    """
    x = call.tensor("input" if "input" in call.names() else "self")
    method, coordinates = RESIZES[call.node.target]
    if not coordinates:
        coordinates = "align_corners" if call["align_corners"] else "half_pixel"
    before, after = shape_of(x), call.shape()
    scales = _scales(call, len(before) - 2)
    for axis in reversed(range(2, len(before))):
        scale = scales[axis - 2]
        exact = (
            scale is None or coordinates == "align_corners" or before[axis] * scale == after[axis]
        )
        call.require(
            exact,
            f"a scale of {scale} does not take {before[axis]} elements to {after[axis]} exactly",
            "give interpolate a size, or recompute_scale_factor=True",
        )
        if before[axis] != after[axis]:
            kind = {"method": method, "coordinates": coordinates}
            x = call.emit(ResizeOp, x, axis=axis, size=after[axis], **kind)
    return x


def _scales(call: Call, rank: int) -> Sequence[float | None]:
    """The scale of each spatial dim, None where only the size was given."""
    names = list(call.names())
    if "scale_factors" in names:
        return [None] * rank if call["scale_factors"] is None else list(call["scale_factors"])
    return [call[name] for name in names if name.startswith("scales")]
