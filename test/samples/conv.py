"""Samples of convolutions: one table of geometries for the op and both gradients."""

from dataclasses import dataclass

from pock_ir.dialects.conv import Conv2dGradInputOp, Conv2dGradWeightOp, Conv2dOp, from_oihw
from pock_ir.dialects.window import Window, from_nchw
from samples.sample import Sample, normal


@dataclass(frozen=True)
class Geometry:
    """x: NCHW sizes; w: outputs and kernel; pads are (low, high) per dim."""

    id: str
    reason: str
    x: tuple[int, int, int, int]
    outputs: int
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    low: tuple[int, int] = (0, 0)
    high: tuple[int, int] = (0, 0)
    groups: int = 1


GEOMETRIES = (
    Geometry("same", "3x3, size kept", (2, 3, 5, 7), 4, (3, 3), low=(1, 1), high=(1, 1)),
    Geometry("pointwise", "1x1: a matrix product", (2, 5, 3, 3), 7, (1, 1)),
    Geometry("pointwise-strided", "1x1, skipping input", (1, 3, 7, 5), 2, (1, 1), (2, 3)),
    Geometry(
        "even", "stride 2 on an even size: the last row is unread", (1, 2, 6, 6), 3, (3, 3), (2, 2)
    ),
    Geometry(
        "uneven-pads",
        "SAME with stride 2 pads (0, 1)",
        (1, 2, 6, 6),
        3,
        (3, 3),
        (2, 2),
        high=(1, 1),
    ),
    Geometry(
        "dilated", "atrous", (1, 2, 7, 8), 2, (3, 2), dilation=(2, 3), low=(2, 1), high=(1, 2)
    ),
    Geometry("grouped", "two groups", (2, 4, 5, 5), 6, (3, 3), low=(1, 1), high=(1, 1), groups=2),
    Geometry(
        "depthwise",
        "a group per channel",
        (2, 5, 6, 6),
        5,
        (3, 3),
        low=(1, 1),
        high=(1, 1),
        groups=5,
    ),
    Geometry("multiplier", "two outputs per channel", (1, 3, 5, 5), 6, (3, 3), (2, 2), groups=3),
    Geometry("rectangular", "1x5 kernel", (1, 2, 3, 9), 3, (1, 5), (1, 2), low=(0, 2), high=(0, 2)),
    Geometry("whole", "kernel as large as the input", (2, 3, 4, 4), 5, (4, 4)),
    Geometry("one", "a single multiply-add", (1, 1, 1, 1), 1, (1, 1)),
    Geometry("tiles", "whole register tiles", (1, 16, 8, 8), 32, (3, 3), low=(1, 1), high=(1, 1)),
    Geometry(
        "remainder",
        "one channel more than tiles",
        (1, 9, 7, 7),
        17,
        (3, 3),
        low=(1, 1),
        high=(1, 1),
    ),
    Geometry(
        "wide-pads", "pads beyond the kernel", (1, 1, 3, 3), 2, (2, 2), low=(3, 2), high=(2, 3)
    ),
)

LAYOUTS = (("nchw", "oihw"), ("nhwc", "hwio"))


def samples(g: Geometry, layout: str, weight_layout: str) -> list[Sample]:
    window = Window(g.kernel, g.strides, g.dilation, g.low, g.high)
    x = from_nchw(g.x, layout)
    w = from_oihw((g.outputs, g.x[1] // g.groups, *g.kernel), weight_layout)
    y = from_nchw((g.x[0], g.outputs, *window.output((g.x[2], g.x[3]))), layout)
    properties = {
        "strides": g.strides,
        "dilation": g.dilation,
        "pad_low": g.low,
        "pad_high": g.high,
        "groups": g.groups,
        "layout": layout,
        "weight_layout": weight_layout,
    }
    name = f"{layout}-{g.id}"
    input_shape, weight_shape = {"input_shape": x}, {"weight_shape": w}
    return [
        Sample(Conv2dOp, (normal(*x), normal(*w)), properties, name, g.reason),
        Sample(
            Conv2dGradInputOp, (normal(*y), normal(*w)), properties | input_shape, name, g.reason
        ),
        Sample(
            Conv2dGradWeightOp, (normal(*x), normal(*y)), properties | weight_shape, name, g.reason
        ),
    ]


SAMPLES = [
    *(sample for layouts in LAYOUTS for g in GEOMETRIES for sample in samples(g, *layouts)),
    # A frozen layout of x and w need not agree.
    *(
        Sample(s.op_type, s.operands, s.properties, f"mixed-{s.id}", "layouts that differ")
        for s in samples(GEOMETRIES[6], "nhwc", "oihw")
    ),
]
