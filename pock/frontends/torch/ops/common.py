"""Steps that only the handlers of PyTorch share; see `pock.frontends.common.steps`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.shape import BroadcastOp


def along(emit: Emitter, x: SSAValue, shape: Sequence[int], axis: int) -> SSAValue:
    """The vector x repeated to `shape`, running along `axis`."""
    return emit(BroadcastOp, x, shape=tuple(shape), axes=[axis])


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front; a scalar is treated as having one axis, as in PyTorch."""
    return axis + max(rank, 1) if axis < 0 else axis


def normal_axes(axes: Sequence[int] | int | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front and ascending; None or no axes means all of them."""
    if axes is None or axes == [] or axes == ():
        return tuple(range(rank))
    listed = [axes] if isinstance(axes, int) else axes
    return tuple(sorted(normal_axis(axis, rank) for axis in listed))
