"""Resampling along one axis, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.axis_map import AxisMapOp, Taps, transposed
from pock_ir.dialects.checks import one_of
from pock_ir.dialects.fields import integer_property, text_property
from pock_ir.op import integer, require, text
from pock_ir.types import num_elements, shape_of

METHODS = ("nearest", "linear")
COORDINATES = ("half_pixel", "asymmetric", "align_corners")


class ResamplingOp(AxisMapOp):
    """An op between an axis and the same axis resampled; `size` is that of the result."""

    axis = integer_property()
    size = integer_property()
    method = text_property()
    coordinates = text_property()

    def check_sizes(self, before: int, after: int) -> None:
        """Raises VerifyException unless `before` elements can become `after`."""
        method = one_of(self.method, METHODS, "method")
        coordinates = one_of(self.coordinates, COORDINATES, "coordinates")
        require(before > 0 and after > 0, f"{before} elements cannot become {after}")
        agrees = method != "nearest" or coordinates != "align_corners"
        require(agrees, "nearest has no align_corners")

    def resize_taps(self, before: int, after: int) -> Taps:
        """The table of the resampling from `before` to `after` elements."""
        coordinates = text(self.coordinates)
        places = [_place(index, before, after, coordinates) for index in range(after)]
        if text(self.method) == "linear":
            return [_linear(place, before) for place in places]
        return [((_nearest(place, before, coordinates), 1.0),) for place in places]


def _place(index: int, before: int, after: int, coordinates: str) -> Fraction:
    """Where element `index` of the result lies among the elements of x."""
    if coordinates == "align_corners":
        return Fraction(index * (before - 1), after - 1) if after > 1 else Fraction(0)
    if coordinates == "asymmetric":
        return Fraction(index * before, after)
    return Fraction((2 * index + 1) * before, 2 * after) - Fraction(1, 2)


def _nearest(place: Fraction, size: int, coordinates: str) -> int:
    """Pixel centres are half a pixel inside, so that the pixel of a place is that below it."""
    inner = place + Fraction(1, 2) if coordinates == "half_pixel" else place
    return min(floor(inner), size - 1)


def _linear(place: Fraction, size: int) -> Sequence[tuple[int, float]]:
    """The two neighbours, or one at a border or where a place meets it."""
    inside = min(max(place, Fraction(0)), Fraction(size - 1))
    low = floor(inside)
    weight = inside - low
    if not weight:
        return ((low, 1.0),)
    return ((low, float(1 - weight)), (low + 1, float(weight)))


@irdl_op_definition
class ResizeOp(ResamplingOp):
    """x resampled to `size` elements along `axis`.

    method: nearest, or linear interpolation of two neighbours. With n elements of x, element i of
    the result lies at (i + 1/2) n / size - 1/2 (half_pixel), at i n / size (asymmetric) or at
    i (n - 1) / (size - 1) (align_corners) among the elements of x; places outside are moved to
    the border. nearest takes the element whose pixel covers the place: for half_pixel, pixels
    reach half an element to both sides, else from one element to the next. Floats; nearest any.
    """

    name = "nn.resize"
    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        axis = self.checked_axis("any")
        size = integer(self.size)
        self.check_sizes(shape_of(self.x)[axis], size)
        if text(self.method) != "nearest":
            self.checked_axis("float")
        return [self.resized(size)]

    def taps(self) -> Taps:
        return self.resize_taps(shape_of(self.x)[integer(self.axis)], integer(self.size))

    def is_move(self) -> bool:
        return text(self.method) == "nearest"

    def added(self) -> int:
        """Two for each element of the result."""
        return 2 * num_elements(self.result)


@irdl_op_definition
class ResizeGradOp(ResamplingOp):
    """The gradient of nn.resize to an x with `size` elements along `axis`. Floats."""

    name = "train.resize_grad"
    dy = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        axis = self.checked_axis("float")
        size = integer(self.size)
        self.check_sizes(size, shape_of(self.dy)[axis])
        return [self.resized(size)]

    def taps(self) -> Taps:
        size, after = integer(self.size), shape_of(self.dy)[integer(self.axis)]
        return transposed(self.resize_taps(size, after), size)

    def added(self) -> int:
        """Each element of dy goes to two elements, or to one."""
        return num_elements(self.dy) * (2 if text(self.method) == "linear" else 1)
