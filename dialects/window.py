"""Sliding windows over the two spatial dims: the geometry that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.ir import Attribute

from pock_ir.dialects.checks import Shape, pair_of
from pock_ir.op import require
from pock_ir.types import Array

LAYOUTS = ("nchw", "nhwc")
Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window of `kernel` taps per dim, `dilation` apart, moved by `strides` over padded data.

    All pairs are (height, width). Tap (y, x) of output (i, j) is input
    (i * strides[0] + y * dilation[0] - low[0], j * strides[1] + x * dilation[1] - low[1]).
    """

    kernel: Pair
    strides: Pair
    dilation: Pair
    low: Pair
    high: Pair

    def extent(self) -> Pair:
        """Input elements that the window spans in each dim."""
        height, width = (d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return height, width

    def output(self, size: Pair) -> Pair:
        """Output size for an input of `size`; raises VerifyException if no window fits."""
        rows = zip(size, self.low, self.high, self.extent(), self.strides, strict=True)
        height, width = ((n + a + b - extent) // step + 1 for n, a, b, extent, step in rows)
        require(
            height >= 1 and width >= 1,
            f"no window of {self.extent()} fits the input of {size} with padding"
            f" {self.low} and {self.high}",
        )
        return height, width

    def padded(self, x: Array, value: float) -> Array:
        """x[N, C, H, W] with the padding filled with `value`."""
        widths = [(0, 0), (0, 0), *zip(self.low, self.high, strict=True)]
        return np.pad(x, widths, constant_values=value)

    def taps(self, padded: Array, output: Pair) -> Iterator[tuple[int, Array]]:
        """For each tap, its number and the view [N, C, OH, OW] of `padded` that it reads."""
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                rows = _range(y * self.dilation[0], self.strides[0], output[0])
                columns = _range(x * self.dilation[1], self.strides[1], output[1])
                yield y * self.kernel[1] + x, padded[:, :, rows, columns]

    def stacked(self, padded: Array, output: Pair) -> Array:
        """All taps as one array [KH*KW, N, C, OH, OW]."""
        return np.stack([view for _, view in self.taps(padded, output)])

    def scattered(self, values: Array, size: Pair) -> Array:
        """The transpose of pad and `stacked`: values[KH*KW, N, C, OH, OW] added up at their taps.

        Returns [N, C, *size]; what falls into the padding is dropped.
        """
        _, n, c, *output = values.shape
        full = [a + b + s for a, b, s in zip(self.low, self.high, size, strict=True)]
        padded = np.zeros((n, c, *full), values.dtype)
        for tap, view in self.taps(padded, (output[0], output[1])):
            view += values[tap]
        top, left = self.low
        return padded[:, :, top : top + size[0], left : left + size[1]]


def _range(start: int, step: int, count: int) -> slice:
    return slice(start, start + step * (count - 1) + 1, step)


def read_window(
    kernel: Pair, strides: Attribute, dilation: Attribute | None, low: Attribute, high: Attribute
) -> Window:
    """The window that properties describe; no dilation means 1. Raises VerifyException."""
    return Window(
        kernel,
        pair_of(strides, 1, "strides"),
        (1, 1) if dilation is None else pair_of(dilation, 1, "dilation"),
        pair_of(low, 0, "pad_low"),
        pair_of(high, 0, "pad_high"),
    )


def to_nchw(values: Any, layout: str) -> Any:
    """An array or shape in `layout` as NCHW."""
    return permuted(values, (0, 3, 1, 2)) if layout == "nhwc" else values


def from_nchw(values: Any, layout: str) -> Any:
    """An NCHW array or shape in `layout`."""
    return permuted(values, (0, 2, 3, 1)) if layout == "nhwc" else values


def permuted(values: Any, order: Sequence[int]) -> Any:
    """An array with its dims, or a shape with its sizes, in the order `order`."""
    if isinstance(values, np.ndarray):
        return cast(Array, values).transpose(order)
    return tuple(cast(Shape, values)[i] for i in order)
