"""The gradient of a depthwise convolution to its weights, channels last.

dw[ky, kx, c] = sum over n, i, j of dy[n, i, j, c] x[n, i', j', c]. For one vector of channels and
one image, the sums of as many taps as there are registers are kept there while dy and x pass by
once; rows of x outside of the image are read from a row of zeros. Images are added up in scratch:
sums of one image each stay short, which also keeps rounding errors small. Parts divide channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from xdsl.ir import Operation

from pock_ir.dialects.conv import Conv2dGradWeightOp
from pock_ir.dialects.kern import CallOp
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.depthwise import depthwise_seconds, is_depthwise, lines_of
from pock_ir.targets.c.kernels.epilogue import BodyEpilogue, elementwise_reuses, main_op
from pock_ir.targets.c.kernels.product import argument, parameters
from pock_ir.targets.c.kernels.vector import Vector, aligned, c_function, indent, vector_of
from pock_ir.targets.c.kernels.windows import Line, Run, runs

Body: TypeAlias = Callable[[int], list[str]]


class DepthwiseGradWeight(Kernel):
    """dw from x and dy."""

    name = "depthwise_grad_weight"

    def _main(self, call: Operation) -> Conv2dGradWeightOp:
        main = main_op(call, Conv2dGradWeightOp)
        assert isinstance(main, Conv2dGradWeightOp)
        return main

    def matches(self, call: Operation, target: Target) -> bool:
        main = main_op(call, Conv2dGradWeightOp)
        return main is not None and is_depthwise(main)

    def seconds(self, call: Operation, target: Target) -> float:
        return depthwise_seconds(self._main(call), call, target)

    def parts(self, call: Operation, target: Target) -> int:
        channels = self._main(call).geometry().channels
        return min(target.threads, -(-channels // target.vector.lanes(4)))

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        text = self._text(call, target, "f")
        return 4 * (text.total_floats + self.parts(call, target) * text.zero_floats)

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        assert isinstance(call, CallOp)
        return elementwise_reuses(call, self._main(call))

    def _text(self, call: Operation, target: Target, symbol: str) -> TapSums:
        main = self._main(call)
        assert isinstance(call, CallOp)
        g = main.geometry()
        vertical, horizontal = lines_of(main)
        registers = target.vector.registers
        return TapSums(
            symbol=symbol,
            channels=g.channels,
            images=g.batch,
            vertical=vertical,
            horizontal=horizontal,
            runs=runs(horizontal.output, 4, 1, horizontal.forward),
            group=max(1, min(vertical.kernel, (registers - 6) // horizontal.kernel)),
            vector=vector_of(target),
            epilogue=BodyEpilogue(call, main, target),
            x=argument(main.x),
            dy=argument(main.dy),
        )

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        text = self._text(call, target, symbol)
        return text.text(parameters(call), self.parts(call, target))


@dataclass(frozen=True)
class TapSums:
    """The text of the kernel; group: rows of taps whose sums are kept in registers together."""

    symbol: str
    channels: int
    images: int
    vertical: Line
    horizontal: Line
    runs: Sequence[Run]
    group: int
    vector: Vector
    epilogue: BodyEpilogue
    x: str
    dy: str

    @property
    def total_floats(self) -> int:
        """The sums of all taps and channels."""
        return aligned(self.vertical.kernel * self.horizontal.kernel * self.channels)

    @property
    def zero_floats(self) -> int:
        """One row of zeros, for one part."""
        return aligned(self.horizontal.size * self.channels + self.vector.lanes)

    def text(self, head: Sequence[str], parts: int) -> str:
        """All functions; the kernel's parameters are `head`."""
        tail = self.channels % self.vector.lanes
        counts = ([0] if self.channels >= self.vector.lanes else []) + ([tail] if tail else [])
        texts = [self.vector.definitions([tail])]
        texts += [self._sums(first, count) for count in counts for first in self._groups()]
        signature = ", ".join([*head, "unsigned char *scratch", "int part"])
        body = self._driver(parts, counts)
        return "\n".join([*texts, c_function(f"static void {self.symbol}({signature})", body)])

    def _groups(self) -> range:
        return range(0, self.vertical.kernel, self.group)

    def _rows(self, first: int) -> range:
        return range(first, min(first + self.group, self.vertical.kernel))

    def _name(self, first: int, count: int) -> str:
        return f"{self.symbol}_taps_{first}" + (f"_{count}" if count else "")

    def _taps(self, first: int) -> list[tuple[int, int]]:
        return [(ky, kx) for ky in self._rows(first) for kx in range(self.horizontal.kernel)]

    def _sums(self, first: int, count: int) -> str:
        """The function that adds up one image for one vector of channels."""
        vector, v, h = self.vector, self.vertical, self.horizontal
        row = h.size * self.channels
        lines = [f"{vector.type} c{ky}_{kx} = {vector.zero};" for ky, kx in self._taps(first)]
        lines.append(f"for (size_t i = 0; i < {v.output}; i++) {{")
        for ky in self._rows(first):
            at = f"(ptrdiff_t)i * {v.stride} + {ky * v.dilation - v.low}"
            lines.append(f"    const ptrdiff_t y{ky} = {at};")
            outside = f"y{ky} < 0 || y{ky} >= {v.size}"
            source = f"{outside} ? zero : x + (size_t)y{ky} * {row}"
            lines.append(f"    const float *const x{ky} = {source};")
        lines.append(f"    const float *const d = dy + i * {h.output * self.channels};")
        for run in self.runs:
            if run.block.meets:
                lines += indent(self._run(run, first, count))
        lines.append("}")
        for ky, kx in self._taps(first):
            place = f"total + {(ky * h.kernel + kx) * self.channels}"
            old = vector.load_part(place, count)
            lines += ["if (!begin)", f"    c{ky}_{kx} += {old};"]
            lines.append(vector.store_part(place, f"c{ky}_{kx}", count))
        arguments = "const float *x, const float *dy, const float *zero, float *total, int begin"
        return c_function(f"static void {self._name(first, count)}({arguments})", lines)

    def _run(self, run: Run, first: int, count: int) -> list[str]:
        head = f"for (size_t j = 0; j < {run.count}; j++) {{" if run.count > 1 else "{"
        step = run.block.size * self.channels
        lines = [
            self._load("e", i, "d", run.output, step, run, count)
            for i in sorted({output for output, _, _ in run.block.meets})
        ]
        for ky in self._rows(first):
            for at in run.block.inputs:
                advance = run.advance * self.channels
                lines.append(self._load(f"x{ky}_", at, f"x{ky}", run.input, advance, run, count))
                users = [(i, kx) for i, kx, where in run.block.meets if where == at]
                lines.append(" ".join(f"c{ky}_{kx} += e{i} * x{ky}_{at};" for i, kx in users))
        return [head, *indent(lines), "}"]

    def _load(
        self, to: str, at: int, pointer: str, base: int, advance: int, run: Run, count: int
    ) -> str:
        """Declare the vector `at` pixels behind the beginning of block j."""
        place = f"{pointer} + {(base + at) * self.channels}"
        if run.count > 1:
            place += f" + j * {advance}"
        return f"const {self.vector.type} {to}{at} = {self.vector.load_part(place, count)};"

    def _driver(self, parts: int, counts: Sequence[int]) -> list[str]:
        lanes, v, h = self.vector.lanes, self.vertical, self.horizontal
        vectors = -(-self.channels // lanes)
        part = "(size_t)part" if parts > 1 else "0"
        own = f" + {part} * {self.zero_floats}" if parts > 1 else ""
        begin = f"pock_share({vectors}, {part}, {parts}) * {lanes}"
        images = [
            f"const float *const x = {self.x} + image * {v.size * h.size * self.channels};",
            f"const float *const dy = {self.dy} + image * {v.output * h.output * self.channels};",
            *self._over_channels(counts, self._calls),
        ]
        return [
            *([] if parts > 1 else ["(void)part;"]),
            "float *const total = (float *)(void *)scratch;",
            f"float *const zero = total + {self.total_floats}{own};",
            f"for (size_t i = 0; i < {self.zero_floats}; i++)",
            "    zero[i] = 0.0f;",
            *([f"const size_t first = {begin};"] if self.channels >= lanes else []),
            f"const size_t end = pock_share({vectors}, {part} + 1, {parts}) * {lanes};",
            f"for (size_t image = 0; image < {self.images}; image++) {{",
            *indent(images),
            "}",
            *self._over_channels(counts, self._finish),
        ]

    def _over_channels(self, counts: Sequence[int], body: Body) -> list[str]:
        """`body` for each vector n of the part's channels."""
        lanes = self.vector.lanes
        whole = self.channels // lanes * lanes
        lines: list[str] = []
        for count in counts:
            if count:
                lines.append(f"if (end > {whole}) {{")
                lines += [f"    const size_t n = {whole};", *indent(body(count)), "}"]
            else:
                limit = "end" if whole == self.channels else f"(end < {whole} ? end : {whole})"
                lines.append(f"for (size_t n = first; n < {limit}; n += {lanes}) {{")
                lines += [*indent(body(count)), "}"]
        return lines

    def _calls(self, count: int) -> list[str]:
        return [
            f"{self._name(first, count)}(x + n, dy + n, zero, total + n, image == 0);"
            for first in self._groups()
        ]

    def _finish(self, count: int) -> list[str]:
        taps = self.vertical.kernel * self.horizontal.kernel
        value = self.vector.load_part(f"total + m * {self.channels} + n", count)
        body = self.epilogue.statements(value, "m", "n", count, self.vector)
        return [f"for (size_t m = 0; m < {taps}; m++) {{", *indent(body), "}"]
