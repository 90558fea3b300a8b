"""Operations that resample pictures or regroup their pixels."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import SSAValue

from pock.frontends.common.steps import cast, reshape, transpose
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.resize import ResizeOp
from pock_ir.types import shape_of

METHODS: Mapping[str, str] = {"ResizeBilinear": "linear", "ResizeNearestNeighbor": "nearest"}


@handles(*METHODS)
def resize(call: Call) -> SSAValue:
    """Pictures [N, H, W, C] resampled to another height and width."""
    x = call.x()
    half, corners = call.attr("half_pixel_centers"), call.attr("align_corners")
    coordinates = "half_pixel" if half else "align_corners" if corners else "asymmetric"
    for axis, size in zip((1, 2), call.ints(1, "a size"), strict=True):
        if shape_of(x)[axis] != size:
            method = METHODS[call.name]
            x = call.emit(ResizeOp, x, axis=axis, size=size, method=method, coordinates=coordinates)
    return cast(call.emit, x, call.dtype())


@handles("DepthToSpace", "SpaceToDepth")
def blocks(call: Call) -> SSAValue:
    """Channels moved into squares of pixels, or back; NHWC."""
    call.require(call.attr("data_format") == "NHWC", "only NHWC is supported")
    n, h, w, c = shape_of(call.x())
    k = call.attr("block_size")
    if call.name == "DepthToSpace":
        split, order = (n, h, w, k, k, c // k**2), (0, 1, 3, 2, 4, 5)
        final = (n, h * k, w * k, c // k**2)
    else:
        split, order = (n, h // k, k, w // k, k, c), (0, 1, 3, 2, 4, 5)
        final = (n, h // k, w // k, c * k**2)
    turned = transpose(call.emit, reshape(call.emit, call.x(), split), order)
    return reshape(call.emit, turned, final)
