"""Self-contained SVG pictures: the arena over time, and loss curves.

Drawn by hand rather than with a plotting library: they belong to every generated program, must be
the same bytes everywhere, and need no dependency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from pock_ir.passes.memory_report import FunctionMemory

COLOURS = {
    "activation": "#9ecae1",
    "saved": "#3182bd",
    "gradient": "#fd8d3c",
    "scratch": "#bdbdbd",
}
LINES = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd")
WIDTH, HEIGHT, MARGIN = 960, 420, 60

Point = tuple[float, float]


def bytes_text(size: float) -> str:
    """1536 is "1.5 KiB"."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


class _Canvas:
    """Maps data to pixels and collects SVG elements."""

    def __init__(self, title: str, x_max: float, y_max: float, y_min: float = 0.0) -> None:
        self.x_max, self.y_min, self.y_max = x_max or 1.0, y_min, y_max or 1.0
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{MARGIN}" y="24" font-size="15">{escape(title)}</text>',
        ]

    def x(self, value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * value / self.x_max

    def y(self, value: float) -> float:
        span = self.y_max - self.y_min or 1.0
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (value - self.y_min) / span

    def rectangle(self, low: Point, high: Point, fill: str, tip: str) -> None:
        x, y = self.x(low[0]), self.y(high[1])
        width, height = self.x(high[0]) - x, self.y(low[1]) - y
        self.parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0.5):.2f}" '
            f'height="{max(height, 0.5):.2f}" fill="{fill}" stroke="white" stroke-width="0.3">'
            f"<title>{escape(tip)}</title></rect>"
        )

    def line(self, points: Sequence[Point], colour: str, dash: str = "") -> None:
        path = " ".join(f"{self.x(x):.2f},{self.y(y):.2f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"{dashes}/>')

    def text(self, x: float, y: float, text: str, colour: str = "black") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{escape(text)}</text>')

    def axes(self, x_label: str, y_labels: Mapping[float, str]) -> None:
        self.line([(0, self.y_max), (0, self.y_min), (self.x_max, self.y_min)], "black")
        self.text(WIDTH / 2, HEIGHT - 16, x_label)
        for value, label in y_labels.items():
            self.text(4, self.y(value) + 4, label)

    def legend(self, entries: Mapping[str, str]) -> None:
        for index, (name, colour) in enumerate(entries.items()):
            self.text(WIDTH - MARGIN - 120, 40 + 16 * index, name, colour)

    def finish(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def memory_svg(function: FunctionMemory, title: str) -> str:
    """Each buffer as a rectangle: lifetime in calls across, offset in bytes up."""
    canvas = _Canvas(title, function.calls, function.arena)
    for row in function.buffers:
        tip = f"{row.content}, {row.size} bytes at {row.offset}, {row.location or ''}"
        low, high = (row.lower, row.offset), (row.upper, row.offset + row.size)
        canvas.rectangle(low, high, COLOURS[row.content], tip)
    bound = function.bound
    canvas.line([(0, bound), (function.calls, bound)], "#d62728", "6 4")
    canvas.axes("kernel calls", {0: "0", function.arena: bytes_text(function.arena)})
    canvas.legend({**COLOURS, f"lower bound {bytes_text(bound)}": "#d62728"})
    return canvas.finish()


def curves_svg(curves: Mapping[str, Sequence[float]], title: str, x_label: str) -> str:
    """Named curves over their index; a value that is not finite leaves a gap."""
    finite = [v for curve in curves.values() for v in curve if v - v == 0]
    top, bottom = max(finite, default=1.0), min(0.0, min(finite, default=0.0))
    longest = max((len(curve) for curve in curves.values()), default=1)
    canvas = _Canvas(title, max(1, longest - 1), top, bottom)
    for colour, curve in zip(LINES, curves.values(), strict=False):
        canvas.line([(i, v) for i, v in enumerate(curve) if v - v == 0], colour)
    canvas.axes(x_label, {bottom: f"{bottom:.2f}", top: f"{top:.2f}"})
    canvas.legend(dict(zip(curves, LINES, strict=False)))
    return canvas.finish()


BLOCKS = " ▁▂▃▄▅▆▇█"


def text_bars(values: Sequence[float], width: int = 72) -> str:
    """A curve as one line of block characters: the largest of each of `width` groups."""
    if not values:
        return ""
    groups = [
        values[i * len(values) // width : max((i + 1) * len(values) // width, 1)]
        for i in range(min(width, len(values)))
    ]
    if len(values) <= width:
        groups = [[value] for value in values]
    top = max(max(group, default=0.0) for group in groups) or 1.0
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[round(steps * max(group, default=0.0) / top)] for group in groups)
