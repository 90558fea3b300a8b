"""Depthwise convolution (one channel per group, channels last), forward and to the input.

y[n, i, j, c] = sum over taps of x[n, i', j', c] w[ky, kx, 0, c], with vectors over channels. A
block of up to eight neighbouring outputs of a row is kept in registers; each input vector is
loaded once per block and row of taps. The gradient to the input is the same sum with x and y
exchanged: only the table of what meets what differs (`windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Operation

from pock_ir.dialects.conv import Conv2dGradInputOp, Conv2dOp, ConvBase
from pock_ir.dialects.kern import CallOp
from pock_ir.op import PockOp, text
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.epilogue import BodyEpilogue, elementwise_reuses, main_op
from pock_ir.targets.c.kernels.product import argument, moved_bytes, parameters
from pock_ir.targets.c.kernels.vector import Vector, c_function, indent, vector_of
from pock_ir.targets.c.kernels.windows import Block, Line, Run, runs
from pock_ir.types import shape_of


def is_depthwise(main: PockOp) -> bool:
    """Whether the convolution has one channel per group, nhwc and hwio."""
    assert isinstance(main, ConvBase)
    if text(main.layout) != "nhwc" or text(main.weight_layout) != "hwio":
        return False
    geometry = main.geometry()
    return geometry.groups == geometry.channels == geometry.outputs


def lines_of(main: ConvBase) -> tuple[Line, Line]:
    """The vertical and the horizontal dim."""
    g, w = main.geometry(), main.geometry().window
    vertical, horizontal = (
        Line(g.input[i], g.output[i], w.kernel[i], w.strides[i], w.dilation[i], w.low[i])
        for i in (0, 1)
    )
    return vertical, horizontal


def depthwise_seconds(main: ConvBase, call: Operation, target: Target) -> float:
    """Two loads or FMA per cycle; a third more for starts and ends of blocks."""
    lanes = target.vector.lanes(4)
    channels = main.geometry().channels
    wasted = -(-channels // lanes) * lanes / channels
    busy = 1.5 * wasted * main.flops() / target.rates.flops
    return max(busy, moved_bytes(call) / target.rates.bandwidth / 2) + target.rates.call


@dataclass(frozen=True)
class Rows:
    """The text of a depthwise sum over rows of taps.

    source, result: width and height of what is read and written, in pixels. meeting: C lines
    that set `at` (the row of the source for tap `k` of row `i`), or `continue`.
    """

    symbol: str
    channels: int
    images: int
    source: tuple[int, int]
    result: tuple[int, int]
    kernel: tuple[int, int]
    runs: Sequence[Run]
    meeting: Sequence[str]
    vector: Vector
    epilogue: BodyEpilogue
    read: str
    weights: str

    def text(self, head: Sequence[str], parts: int) -> str:
        """All functions; the kernel's parameters are `head`."""
        tail = self.channels % self.vector.lanes
        counts = ([0] if self.channels >= self.vector.lanes else []) + ([tail] if tail else [])
        texts = [self.vector.definitions([tail])]
        for count in counts:
            texts += [self._block(block, count) for block in self._blocks()]
        signature = ", ".join([*head, "unsigned char *scratch", "int part"])
        body = ["(void)scratch;", *self._driver(parts, counts)]
        return "\n".join([*texts, c_function(f"static void {self.symbol}({signature})", body)])

    def _blocks(self) -> list[Block]:
        return list(dict.fromkeys(run.block for run in self.runs))

    def _name(self, block: Block, count: int) -> str:
        suffix = f"_{count}" if count else ""
        return f"{self.symbol}_block_{self._blocks().index(block)}{suffix}"

    def _block(self, block: Block, count: int) -> str:
        """The function of one block for one vector of channels, `count` of them (0: all)."""
        vector, epilogue = self.vector, self.epilogue
        lines = [f"{vector.type} c{i} = {vector.zero};" for i in range(block.size)]
        if block.meets:
            lines += [
                "for (size_t k = 0; k < taps; k++) {",
                "    const float *const x = from + rows[k];",
                f"    const float *const w = {self.weights} + tap[k] + n;",
                *indent(self._step(block, count)),
                "}",
            ]
        else:  # wholly in the padding
            lines.append(f"(void)from, (void)rows, (void)tap, (void)taps, (void){self.weights};")
        for i in range(block.size):
            row = f"(m + {i})" if i else "m"
            lines += ["{", *indent(epilogue.statements(f"c{i}", row, "n", count, vector)), "}"]
        fixed = [
            "const float *from",
            "const size_t *rows",
            "const size_t *tap",
            "size_t taps",
            "size_t m",
            "size_t n",
        ]
        given = [*fixed, f"const float *{self.weights}", *self._extra(epilogue.parameters)]
        return c_function(f"static void {self._name(block, count)}({', '.join(given)})", lines)

    def _extra(self, parameters: Sequence[str]) -> list[str]:
        """What the epilogue needs beside the weights."""
        return [item for item in parameters if item.split("*")[-1] != self.weights]

    def _step(self, block: Block, count: int) -> list[str]:
        """One row of taps: every weight and every input vector is loaded once."""
        vector, channels = self.vector, self.channels
        taps = sorted({tap for _, tap, _ in block.meets})
        lines = [
            f"const {vector.type} w{tap} = {vector.load_part(f'w + {tap * channels}', count)};"
            for tap in taps
        ]
        for at in block.inputs:
            load = vector.load_part(f"x + {at * channels}", count)
            lines.append(f"const {vector.type} x{at} = {load};")
            users = [(i, tap) for i, tap, where in block.meets if where == at]
            lines.append(" ".join(f"c{i} += x{at} * w{tap};" for i, tap in users))
        return lines

    def _driver(self, parts: int, counts: Sequence[int]) -> list[str]:
        height, width = self.result
        rows = self.images * height
        part = "(size_t)part" if parts > 1 else "0"
        head = [] if parts > 1 else ["(void)part;"]
        source = self.source[0] * self.source[1] * self.channels
        return [
            *head,
            f"const size_t end = pock_share({rows}, {part} + 1, {parts});",
            f"for (size_t r = pock_share({rows}, {part}, {parts}); r < end; r++) {{",
            f"    const float *const image = {self.read} + r / {height} * {source};",
            f"    const ptrdiff_t i = (ptrdiff_t)(r % {height});",
            f"    size_t rows[{self.kernel[0]}] = {{0}}, tap[{self.kernel[0]}] = {{0}};",
            "    size_t taps = 0;",
            f"    for (ptrdiff_t k = 0; k < {self.kernel[0]}; k++) {{",
            *indent(self.meeting, 2),
            f"        rows[taps] = (size_t)at * {self.source[1] * self.channels};",
            f"        tap[taps++] = (size_t)k * {self.kernel[1] * self.channels};",
            "    }",
            *indent(self._channels(counts, width)),
            "}",
        ]

    def _channels(self, counts: Sequence[int], width: int) -> list[str]:
        lanes, lines = self.vector.lanes, list[str]()
        whole = self.channels // lanes * lanes
        for count in counts:
            calls = [line for run in self.runs for line in self._run(run, count, width)]
            if count:
                lines += ["{", f"    const size_t n = {whole};", *indent(calls), "}"]
            else:
                lines += [f"for (size_t n = 0; n < {whole}; n += {lanes}) {{", *indent(calls), "}"]
        return lines

    def _run(self, run: Run, count: int, width: int) -> list[str]:
        step, name = run.block.size, self._name(run.block, count)
        names = [name_ for name_ in self.epilogue.names if name_ != self.weights]
        rest = ", ".join(["rows", "tap", "taps", "{m}", "n", self.weights, *names])
        start, base = run.input * self.channels, f"r * {width} + {run.output}"
        if run.count == 1:
            return [f"{name}(image + {start} + n, {rest.format(m=base)});"]
        advance = f"j * {run.advance * self.channels}"
        call = f"{name}(image + {start} + {advance} + n, {rest.format(m=f'{base} + j * {step}')});"
        return [f"for (size_t j = 0; j < {run.count}; j++)", "    " + call]


class DepthwiseKernel(Kernel):
    """What both directions share."""

    kind: type[PockOp]

    def _main(self, call: Operation) -> ConvBase:
        main = main_op(call, self.kind)
        assert isinstance(main, ConvBase)
        return main

    def matches(self, call: Operation, target: Target) -> bool:
        main = main_op(call, self.kind)
        return main is not None and is_depthwise(main)

    def seconds(self, call: Operation, target: Target) -> float:
        return depthwise_seconds(self._main(call), call, target)

    def parts(self, call: Operation, target: Target) -> int:
        images, height, _, _ = shape_of(self._main(call).results[0])
        return min(target.threads, images * height)

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        assert isinstance(call, CallOp)
        return elementwise_reuses(call, self._main(call))


def block_width(target: Target) -> int:
    """Outputs in registers: eight hide the latency of FMA on two units; fewer without vectors."""
    return 8 if target.vector.bytes else 4


class Depthwise(DepthwiseKernel):
    """y from x and w."""

    name = "depthwise"
    kind = Conv2dOp

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        main = self._main(call)
        assert isinstance(main, Conv2dOp) and isinstance(call, CallOp)
        vertical, horizontal = lines_of(main)
        g = main.geometry()
        meeting = [
            f"const ptrdiff_t at = i * {vertical.stride} + k * {vertical.dilation}"
            f" - {vertical.low};",
            f"if (at < 0 || at >= {vertical.size})",
            "    continue;",
        ]
        rows = Rows(
            symbol=symbol,
            channels=g.channels,
            images=g.batch,
            source=g.input,
            result=g.output,
            kernel=g.window.kernel,
            runs=runs(horizontal.output, block_width(target), 1, horizontal.forward),
            meeting=meeting,
            vector=vector_of(target),
            epilogue=BodyEpilogue(call, main, target),
            read=argument(main.x),
            weights=argument(main.w),
        )
        return rows.text(parameters(call), self.parts(call, target))


class DepthwiseGradInput(DepthwiseKernel):
    """dx from dy and w."""

    name = "depthwise_grad_input"
    kind = Conv2dGradInputOp

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        main = self._main(call)
        assert isinstance(main, Conv2dGradInputOp) and isinstance(call, CallOp)
        vertical, horizontal = lines_of(main)
        g = main.geometry()
        stride = vertical.stride
        meeting = [
            f"const ptrdiff_t shift = i + {vertical.low} - k * {vertical.dilation};",
            f"if (shift < 0 || shift % {stride} != 0 || shift / {stride} >= {vertical.output})",
            "    continue;",
            f"const ptrdiff_t at = shift / {stride};",
        ]
        blocks = runs(horizontal.size, block_width(target), horizontal.stride, horizontal.backward)
        rows = Rows(
            symbol=symbol,
            channels=g.channels,
            images=g.batch,
            source=g.output,
            result=g.input,
            kernel=g.window.kernel,
            runs=blocks,
            meeting=meeting,
            vector=vector_of(target),
            epilogue=BodyEpilogue(call, main, target),
            read=argument(main.dy),
            weights=argument(main.w),
        )
        return rows.text(parameters(call), self.parts(call, target))
