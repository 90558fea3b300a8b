"""Samples of pooling: one table of geometries for all four ops."""

from dataclasses import dataclass

from pock_ir.dialects.pool import AvgPool2dGradOp, AvgPool2dOp, MaxPool2dGradOp, MaxPool2dOp
from pock_ir.dialects.window import Window, from_nchw
from samples.sample import Sample, distinct, given, normal

INF = float("inf")


@dataclass(frozen=True)
class Geometry:
    """x: NCHW sizes; pads are (low, high) per dim."""

    id: str
    reason: str
    x: tuple[int, int, int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    low: tuple[int, int] = (0, 0)
    high: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)


GEOMETRIES = (
    Geometry("plain", "2x2, disjoint windows", (2, 3, 4, 6), (2, 2), (2, 2)),
    Geometry(
        "overlap", "3x3 stride 2 padded, as in ResNet", (1, 2, 7, 8), (3, 3), (2, 2), (1, 1), (1, 1)
    ),
    Geometry("uneven", "ceil mode pads the end", (1, 2, 5, 5), (2, 2), (2, 2), (0, 0), (1, 1)),
    Geometry("global", "the whole input", (2, 3, 5, 7), (5, 7), (1, 1)),
    Geometry("gaps", "a stride beyond the kernel", (1, 2, 7, 7), (2, 1), (3, 2)),
    Geometry("one", "a 1x1 window", (1, 1, 2, 2), (1, 1), (1, 1)),
)
DILATED = Geometry("dilated", "holes", (1, 2, 7, 7), (2, 3), (1, 2), (1, 2), (1, 2), (2, 2))
EMPTY = Geometry(
    "empty", "a window with no tap inside", (1, 1, 1, 1), (2, 1), (1, 1), (1, 0), (1, 0), (2, 1)
)


def properties(g: Geometry, layout: str) -> dict:
    return {
        "kernel": g.kernel,
        "strides": g.strides,
        "pad_low": g.low,
        "pad_high": g.high,
        "layout": layout,
    }


def shapes(g: Geometry, layout: str):
    window = Window(g.kernel, g.strides, g.dilation, g.low, g.high)
    y = (g.x[0], g.x[1], *window.output((g.x[2], g.x[3])))
    return from_nchw(g.x, layout), from_nchw(y, layout)


def maximum(g: Geometry, layout: str) -> list[Sample]:
    (x, y), props = shapes(g, layout), properties(g, layout) | {"dilation": g.dilation}
    name = f"{layout}-{g.id}"
    return [
        Sample(MaxPool2dOp, (distinct(*x),), props, name, g.reason),
        Sample(MaxPool2dGradOp, (distinct(*x), normal(*y)), props, name, g.reason),
    ]


def average(g: Geometry, layout: str, count: bool) -> list[Sample]:
    (x, y), props = shapes(g, layout), properties(g, layout) | {"count_include_pad": count}
    name = f"{layout}-{g.id}-{'all' if count else 'inside'}"
    return [
        Sample(AvgPool2dOp, (normal(*x),), props, name, g.reason),
        Sample(AvgPool2dGradOp, (normal(*y),), props | {"input_shape": x}, name, g.reason),
    ]


TIED = properties(Geometry("", "", (1, 1, 2, 4), (2, 2), (2, 2)), "nchw") | {"dilation": [1, 1]}
TIES = [[[[1.0, 1.0, -INF, -INF], [1.0, 0.0, -INF, -INF]]]]

SAMPLES = [
    *(
        sample
        for layout in ("nchw", "nhwc")
        for g in (*GEOMETRIES, DILATED, EMPTY)
        for sample in maximum(g, layout)
    ),
    *(
        sample
        for layout in ("nchw", "nhwc")
        for count in (True, False)
        for g in GEOMETRIES
        for sample in average(g, layout, count)
    ),
    Sample(MaxPool2dOp, (given(TIES),), TIED, "ties", "equal maxima, and only -inf", smooth=False),
    Sample(
        MaxPool2dGradOp,
        (given(TIES), normal(1, 1, 1, 2)),
        TIED,
        "ties",
        "the first maximum, also of -inf",
        smooth=False,
    ),
]
