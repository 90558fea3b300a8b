"""What convolutions and pooling share: sizes by data format, and TensorFlow's paddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pock.frontends.tensorflow.table import Call

Pair = tuple[int, int]


@dataclass(frozen=True)
class Format:
    """Where the axes of pictures are. layout: "nhwc" or "nchw"."""

    layout: str

    @staticmethod
    def of(call: Call) -> Format:
        """The format of a call. Raises Refusal for one that vectorises channels."""
        name = call.attr("data_format")
        call.require(name in ("NHWC", "NCHW"), f"data format {name} is not supported")
        return Format(name.lower())

    @property
    def channels(self) -> int:
        """The axis of channels."""
        return 3 if self.layout == "nhwc" else 1

    def spatial(self, values: Sequence[int]) -> Pair:
        """Height and width of four numbers."""
        first = 1 if self.layout == "nhwc" else 2
        return values[first], values[first + 1]


def pair_of(call: Call, fmt: Format, name: str) -> Pair:
    """Height and width of an attribute. Raises Refusal if it says more than that."""
    values = list(call.attr(name))
    height, width = fmt.spatial(values)
    plain = sorted(values) == sorted([1, 1, height, width]) or len(values) == 2
    call.require(plain, f"{name} {values} along samples or channels are not supported")
    return height, width


def paddings(call: Call, fmt: Format, size: Pair, extent: Pair, strides: Pair) -> tuple[Pair, Pair]:
    """Padding (low, high) as (height, width) each, for windows that reach over `extent`."""
    kind = call.attr("padding")
    if kind == "VALID":
        return (0, 0), (0, 0)
    if kind == "EXPLICIT":
        amounts = list(call.attr("explicit_paddings"))
        return fmt.spatial(amounts[0::2]), fmt.spatial(amounts[1::2])
    call.require(kind == "SAME", f"padding {kind} is not supported")
    amounts = [
        max((-(-n // stride) - 1) * stride + reach - n, 0)
        for n, reach, stride in zip(size, extent, strides, strict=True)
    ]
    # An odd amount puts one more at the end.
    low = (amounts[0] // 2, amounts[1] // 2)
    return low, (amounts[0] - low[0], amounts[1] - low[1])
