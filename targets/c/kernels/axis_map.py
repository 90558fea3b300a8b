"""Fixed sums along one axis: reversal, padding with what is there, resizing, their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, cast

from pock_ir.dialects.axis_map import AxisMapOp, ReverseOp, Taps
from pock_ir.dialects.border_pad import BorderPadGradOp, BorderPadOp
from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.resize import ResizeGradOp, ResizeOp
from pock_ir.op import PockOp, integer
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import ANY, PlainKernel
from pock_ir.targets.c.scalar_c import float_literal
from pock_ir.types import dtype_of, shape_of


class AxisMapKernel(PlainKernel):
    """Slice by slice; where the axis is the last one, line by line."""

    name = "axis_map"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (
        *(BorderPadGradOp, BorderPadOp, ResizeGradOp, ResizeOp, ReverseOp),
    )
    FLOATS: ClassVar[tuple[str, ...]] = ANY

    def accepts(self, op: PockOp) -> bool:
        return cast(AxisMapOp, op).is_move() or dtype_of(op.operands[0]).name == "f32"

    def units(self, op: PockOp, target: Target) -> int:
        before, _, after = _split(cast(AxisMapOp, op))
        lines = shape_of(op.results[0])[integer(cast(AxisMapOp, op).axis)]
        return before if after == 1 else before * lines

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        mapped = cast(AxisMapOp, op)
        _, size, inner = _split(mapped)
        taps = mapped.taps()
        lines = _Moves(mapped, taps) if mapped.is_move() else _Sums(mapped, taps)
        text = [*lines.tables(), self.bounds(call, target)]
        text.append("    for (size_t u = first; u < last; u++) {")
        if inner == 1:
            text.append(f"        const {lines.c} *x = a0 + u * {size};")
            text.append(f"        {lines.c} *y = r0 + u * {len(taps)};")
            text.append(f"        for (size_t i = 0; i < {len(taps)}; i++)")
            text += lines.element()
        else:
            text.append(f"        const size_t i = u % {len(taps)};")
            text.append(f"        const {lines.c} *x = a0 + u / {len(taps)} * {size * inner};")
            text.append(f"        {lines.c} *y = r0 + u * {inner};")
            text += lines.slice(inner)
        return "\n".join([*text, "    }"])


def _split(op: AxisMapOp) -> tuple[int, int, int]:
    """Elements of the operand's dims before the axis, of the axis, and behind it."""
    shape, axis = shape_of(op.operands[0]), integer(op.axis)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _table(type: str, name: str, values: Sequence[str]) -> str:
    return f"    static const {type} {name}[] = {{{', '.join(values)}}};"


class _Moves:
    """C text of copies from one index each."""

    def __init__(self, op: AxisMapOp, taps: Taps) -> None:
        dtype = dtype_of(op.operands[0])
        self.c = dtype.c
        self.bytes = dtype.bytes
        self.sources = [pairs[0][0] for pairs in taps]

    def _is_reversal(self) -> bool:
        return self.sources == list(reversed(range(len(self.sources))))

    def tables(self) -> list[str]:
        if self._is_reversal():
            return []
        return [_table("uint32_t", "from", [str(source) for source in self.sources])]

    def _source(self) -> str:
        return f"({len(self.sources) - 1} - i)" if self._is_reversal() else "from[i]"

    def element(self) -> list[str]:
        return [f"            y[i] = x[{self._source()}];"]

    def slice(self, inner: int) -> list[str]:
        return [f"        memcpy(y, x + {self._source()} * {inner}, {inner * self.bytes});"]


class _Sums:
    """C text of weighted sums; those of index i are entries begin[i] to begin[i + 1]."""

    def __init__(self, op: AxisMapOp, taps: Taps) -> None:
        self.c = dtype_of(op.operands[0]).c
        self.taps = taps

    def tables(self) -> list[str]:
        pairs = [pair for pairs in self.taps for pair in pairs]
        begins = [0]
        for each in self.taps:
            begins.append(begins[-1] + len(each))
        # An axis of which nothing is used still needs an entry: C has no empty arrays.
        return [
            _table("uint32_t", "begin", [str(begin) for begin in begins]),
            _table("uint32_t", "from", [str(source) for source, _ in pairs] or ["0"]),
            _table("float", "weight", [float_literal(w) for _, w in pairs] or ["0.0f"]),
        ]

    def element(self) -> list[str]:
        return [
            "        {",
            "            float sum = 0.0f;",
            "            for (size_t t = begin[i]; t < begin[i + 1]; t++)",
            "                sum += weight[t] * x[from[t]];",
            "            y[i] = sum;",
            "        }",
        ]

    def slice(self, inner: int) -> list[str]:
        return [
            f"        memset(y, 0, {4 * inner});",
            "        for (size_t t = begin[i]; t < begin[i + 1]; t++)",
            f"            for (size_t n = 0; n < {inner}; n++)",
            f"                y[n] += weight[t] * x[from[t] * (size_t){inner} + n];",
        ]
