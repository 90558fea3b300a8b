"""Padding along one axis with elements of the operand, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.axis_map import AxisMapOp, Taps, transposed
from pock_ir.dialects.checks import one_of
from pock_ir.dialects.fields import integer_property, text_property
from pock_ir.op import integer, require, text
from pock_ir.types import shape_of

BORDERS = ("edge", "reflect", "symmetric", "circular")


class BorderOp(AxisMapOp):
    """An op between a tensor and the same with a border of `low` and `high` elements."""

    axis = integer_property()
    low = integer_property()
    high = integer_property()
    mode = text_property()

    def checked_border(self, size: int) -> int:
        """How many elements the border adds to `size`. Raises VerifyException."""
        low, high = integer(self.low), integer(self.high)
        _check_border(size, low, high, one_of(self.mode, BORDERS, "mode"))
        return low + high

    def border_taps(self, size: int) -> Taps:
        """The table of the padding, for an axis of `size` elements without the border."""
        places = range(-integer(self.low), size + integer(self.high))
        return [((_inside(place, size, text(self.mode)), 1.0),) for place in places]


def _inside(place: int, size: int, mode: str) -> int:
    """The index that stands at `place`, which is at most one `size` away from both ends."""
    match mode:
        case "edge":
            return min(max(place, 0), size - 1)
        case "circular":
            return place % size
        case _:
            seam = 1 if mode == "symmetric" else 0
            place = -place - seam if place < 0 else place
            return place if place < size else 2 * size - 2 + seam - place


def _check_border(size: int, low: int, high: int, mode: str) -> None:
    require(size > 0, "there is nothing to repeat")
    most = {"edge": None, "reflect": size - 1}.get(mode, size)
    for word, count in (("low", low), ("high", high)):
        require(count >= 0, f"{word} should be at least 0, not {count}")
        fits = most is None or count <= most
        require(fits, f"{word} {count} is more than the {most} that {mode} has for {size} elements")


@irdl_op_definition
class BorderPadOp(BorderOp):
    """x with `low` elements before and `high` behind it along `axis`, taken from x by `mode`.

    edge: the outermost element; reflect: mirrored without it; symmetric: mirrored with it;
    circular: from the other end. Any element type.
    """

    name = "nn.border_pad"
    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        size = shape_of(self.x)[self.checked_axis("any")]
        return [self.resized(size + self.checked_border(size))]

    def taps(self) -> Taps:
        return self.border_taps(shape_of(self.x)[integer(self.axis)])

    def is_move(self) -> bool:
        return True


@irdl_op_definition
class BorderPadGradOp(BorderOp):
    """The gradient of nn.border_pad: the border is added to where it came from. Floats."""

    name = "train.border_pad_grad"
    dy = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_axis("float")
        self.checked_border(self._size())
        return [self.resized(self._size())]

    def _size(self) -> int:
        return shape_of(self.dy)[integer(self.axis)] - integer(self.low) - integer(self.high)

    def taps(self) -> Taps:
        return transposed(self.border_taps(self._size()), self._size())
