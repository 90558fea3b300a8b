"""Ops along one axis where each result is a fixed sum of elements: reversal, padding, resizing.

What an op computes is the table `taps`: for each index of the result along `axis`, which indices
of the operand are added up, and with which weights. Several axes take several ops. The gradient
is the op with the transposed table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import TypeAlias

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axis_of, one_of, operand_type
from pock_ir.dialects.fields import integer_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, require, text
from pock_ir.types import Array, dtype_of, num_elements, shape_of, tensor

LONGEST = 1 << 22
"""Elements of an axis; a table of more would not fit a compiler."""

Taps: TypeAlias = Sequence[Sequence[tuple[int, float]]]
"""For each index of the result: (index of the operand, weight), the indices ascending."""


class AxisMapOp(PockOp):
    """An op whose result is `taps` applied along `axis` of its only operand."""

    axis = integer_property()

    @abstractmethod
    def taps(self) -> Taps:
        """The table of the op, whose properties have been checked."""

    def is_move(self) -> bool:
        """Whether every result element is one element of the operand."""
        return False

    def checked_axis(self, kind: str) -> int:
        """`axis`, of an operand with `kind` elements. Raises VerifyException."""
        rank = len(shape_of(operand_type(self.operands[0], "operand 0", kind)))
        return axis_of(self.axis, rank)

    def resized(self, size: int) -> Attribute:
        """The type of operand 0 with another size along `axis`."""
        x = self.operands[0]
        shape = list(shape_of(x))
        for count in (size, shape[integer(self.axis)]):
            require(count <= LONGEST, f"an axis of {count} elements is too long for a table")
        shape[integer(self.axis)] = size
        return tensor(shape, dtype_of(x).type)

    def evaluate(self, *args: Array) -> Array:
        axis, taps = integer(self.axis), self.taps()
        if self.is_move():
            return np.take(args[0], [first for ((first, _),) in taps], axis)
        x = np.moveaxis(widened(args[0]), axis, 0)
        rows = np.zeros((len(taps), *x.shape[1:]), x.dtype)
        for row, pairs in zip(rows, taps, strict=True):
            for index, weight in pairs:
                row += x[index] * np.asarray(weight, x.dtype)
        return np.moveaxis(rows, 0, axis)

    def flops(self) -> int:
        """None for moves, else a product and a sum for each element that is added."""
        return 0 if self.is_move() else 2 * self.added()

    def added(self) -> int:
        """How many elements are added up: each of the operand once, unless an op says else."""
        return num_elements(self.operands[0])


def transposed(taps: Taps, size: int) -> Taps:
    """The table of the gradient: which results an operand of `size` went to."""
    back: list[list[tuple[int, float]]] = [[] for _ in range(size)]
    for index, pairs in enumerate(taps):
        for source, weight in pairs:
            back[source].append((index, weight))
    return back


@irdl_op_definition
class ReverseOp(AxisMapOp):
    """x with the order along `axis` reversed."""

    name = "nn.reverse"
    x = operand_def(TensorType)
    axis = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        return [self.resized(shape_of(self.x)[self.checked_axis("any")])]

    def taps(self) -> Taps:
        size = shape_of(self.x)[integer(self.axis)]
        return [((index, 1.0),) for index in reversed(range(size))]

    def is_move(self) -> bool:
        return True


BORDERS = ("edge", "reflect", "symmetric", "circular")


def _border_taps(size: int, low: int, high: int, mode: str) -> Taps:
    places = range(-low, size + high)
    return [((_inside(place, size, mode), 1.0),) for place in places]


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
class BorderPadOp(AxisMapOp):
    """x with `low` elements before and `high` behind it along `axis`, taken from x by `mode`.

    edge: the outermost element; reflect: mirrored without it; symmetric: mirrored with it;
    circular: from the other end. Any element type.
    """

    name = "nn.border_pad"
    x = operand_def(TensorType)
    axis = integer_property()
    low = integer_property()
    high = integer_property()
    mode = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        mode = one_of(self.mode, BORDERS, "mode")
        size = shape_of(self.x)[self.checked_axis("any")]
        low, high = integer(self.low), integer(self.high)
        _check_border(size, low, high, mode)
        return [self.resized(size + low + high)]

    def taps(self) -> Taps:
        size = shape_of(self.x)[integer(self.axis)]
        return _border_taps(size, integer(self.low), integer(self.high), text(self.mode))

    def is_move(self) -> bool:
        return True


@irdl_op_definition
class BorderPadGradOp(AxisMapOp):
    """The gradient of nn.border_pad: the border is added to where it came from. Floats."""

    name = "train.border_pad_grad"
    dy = operand_def(TensorType)
    axis = integer_property()
    low = integer_property()
    high = integer_property()
    mode = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        mode = one_of(self.mode, BORDERS, "mode")
        self.checked_axis("float")
        low, high = integer(self.low), integer(self.high)
        _check_border(self._size(), low, high, mode)
        return [self.resized(self._size())]

    def _size(self) -> int:
        return shape_of(self.dy)[integer(self.axis)] - integer(self.low) - integer(self.high)

    def taps(self) -> Taps:
        size = self._size()
        forward = _border_taps(size, integer(self.low), integer(self.high), text(self.mode))
        return transposed(forward, size)


METHODS = ("nearest", "linear")
COORDINATES = ("half_pixel", "asymmetric", "align_corners")


def _check_resize(before: int, after: int, op: ResizeOp | ResizeGradOp) -> None:
    method = one_of(op.method, METHODS, "method")
    coordinates = one_of(op.coordinates, COORDINATES, "coordinates")
    require(before > 0 and after > 0, f"{before} elements cannot become {after}")
    agrees = method != "nearest" or coordinates != "align_corners"
    require(agrees, "nearest has no align_corners")


def _resize_taps(before: int, after: int, method: str, coordinates: str) -> Taps:
    places = [_place(index, before, after, coordinates) for index in range(after)]
    if method == "linear":
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
class ResizeOp(AxisMapOp):
    """x resampled to `size` elements along `axis`.

    method: nearest, or linear interpolation of two neighbours. With n elements of x, element i of
    the result lies at (i + 1/2) n / size - 1/2 (half_pixel), at i n / size (asymmetric) or at
    i (n - 1) / (size - 1) (align_corners) among the elements of x; places outside are moved to
    the border. nearest takes the element whose pixel covers the place: for half_pixel, pixels
    reach half an element to both sides, else from one element to the next. Floats; nearest any.
    """

    name = "nn.resize"
    x = operand_def(TensorType)
    axis = integer_property()
    size = integer_property()
    method = text_property()
    coordinates = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        axis = self.checked_axis("any")
        size = integer(self.size)
        _check_resize(shape_of(self.x)[axis], size, self)
        if text(self.method) != "nearest":
            self.checked_axis("float")
        return [self.resized(size)]

    def taps(self) -> Taps:
        before = shape_of(self.x)[integer(self.axis)]
        return _resize_taps(before, integer(self.size), text(self.method), text(self.coordinates))

    def is_move(self) -> bool:
        return text(self.method) == "nearest"

    def added(self) -> int:
        """Two for each element of the result."""
        return 2 * num_elements(self.result)


@irdl_op_definition
class ResizeGradOp(AxisMapOp):
    """The gradient of nn.resize to an x with `size` elements along `axis`. Floats."""

    name = "train.resize_grad"
    dy = operand_def(TensorType)
    axis = integer_property()
    size = integer_property()
    method = text_property()
    coordinates = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        axis = self.checked_axis("float")
        size = integer(self.size)
        _check_resize(size, shape_of(self.dy)[axis], self)
        return [self.resized(size)]

    def taps(self) -> Taps:
        size, after = integer(self.size), shape_of(self.dy)[integer(self.axis)]
        forward = _resize_taps(size, after, text(self.method), text(self.coordinates))
        return transposed(forward, size)

    def added(self) -> int:
        """Each element of dy goes to two elements, or to one."""
        return num_elements(self.dy) * (2 if text(self.method) == "linear" else 1)
