"""Elements by index along one axis, sums into them, and running sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, cast

from pock_ir.dialects.gather import (
    GatheringOp,
    GatherOp,
    IndexedOp,
    ScatterAddOp,
    ScatteringOp,
    TakeAlongAxisGradOp,
    TakeAlongAxisOp,
)
from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.scan import CumSumOp
from pock_ir.op import PockOp, flag, integer, number, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import ANY, PlainKernel
from pock_ir.targets.c.scalar_c import literal
from pock_ir.types import dtype_of, num_elements, shape_of


def _around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Elements before the axis, along it, behind it."""
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _resolve(op: IndexedOp, ids: str, size: int) -> list[str]:
    """C text that declares `at`, an index inside, from the index `ids`; and `counts`."""
    mode = text(op.out_of_range)
    lines = [f"const int64_t id = {ids};"]
    if mode == "wrap":
        lines.append(f"const int64_t rest = id % {size};")
        return [*lines, f"const size_t at = (size_t)(rest < 0 ? rest + {size} : rest);"]
    if mode == "fill":
        lines.append(f"const int counts = id >= 0 && id < {size};")
    clipped = f"id < 0 ? 0 : id < {size} ? id : {size - 1}"
    return [*lines, f"const size_t at = (size_t)({clipped});"]


class GatherKernel(PlainKernel):
    """One memcpy per slice, or one element after the other."""

    name = "gather"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (GatherOp, TakeAlongAxisOp)
    FLOATS: ClassVar[tuple[str, ...]] = ANY

    def accepts(self, op: PockOp) -> bool:
        """16-bit floats have no literal other than 0."""
        fills = text(cast(GatheringOp, op).out_of_range) == "fill"
        wide = dtype_of(op.operands[0]).name not in ("f16", "bf16", "f64")
        return wide or not fills

    def units(self, op: PockOp, target: Target) -> int:
        gather = cast(GatheringOp, op)
        before, _, inner = _around(shape_of(gather.x), integer(gather.axis))
        ids = num_elements(gather.ids)
        return before * ids if isinstance(op, GatherOp) else ids // inner

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        gather = cast(GatheringOp, op)
        _, size, inner = _around(shape_of(gather.x), integer(gather.axis))
        dtype = dtype_of(gather.x)
        fills = text(gather.out_of_range) == "fill"
        fill = literal(number(gather.fill), dtype) if fills else ""
        if isinstance(gather, GatherOp):
            count = num_elements(gather.ids)
            source = f"a0 + (u / {count} * {size} + at) * {inner}"
            lines = _resolve(gather, f"a1[u % {count}]", size)
            lines += _copied(source, inner, dtype.bytes, fill)
        else:
            count = shape_of(gather.ids)[integer(gather.axis)]
            found = f"a0[(u / {count} * {size} + at) * {inner} + n]"
            found = f"counts ? {found} : {fill}" if fill else found
            lines = [f"for (size_t n = 0; n < {inner}; n++) {{"]
            lines += [f"    {line}" for line in _resolve(gather, f"a1[u * {inner} + n]", size)]
            lines += [f"    r0[u * {inner} + n] = {found};", "}"]
        return _loop(self.bounds(call, target), lines)


def _copied(source: str, inner: int, bytes: int, fill: str) -> list[str]:
    copy = f"memcpy(r0 + u * {inner}, {source}, {inner * bytes});"
    if not fill:
        return [copy]
    other = [f"    for (size_t n = 0; n < {inner}; n++)", f"        r0[u * {inner} + n] = {fill};"]
    return ["if (counts)", f"    {copy}", "else", *other]


def _loop(bounds: str, lines: Sequence[str]) -> str:
    inner = [f"        {line}" for line in lines]
    return "\n".join([bounds, "    for (size_t u = first; u < last; u++) {", *inner, "    }"])


class ScatterAddKernel(PlainKernel):
    """Each part owns a range of the result's slices and adds to them in the order of the ids."""

    name = "scatter_add"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (ScatterAddOp,)

    def units(self, op: PockOp, target: Target) -> int:
        return integer(cast(ScatterAddOp, op).size)

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        scatter = cast(ScatterAddOp, op)
        before, size, inner = _around(shape_of(scatter.results[0]), integer(scatter.axis))
        count = num_elements(scatter.ids)
        skip = "at < first || at >= last" + (" || !counts" * _fills(scatter))
        return "\n".join(
            [
                self.bounds(call, target),
                f"    for (size_t o = 0; o < {before}; o++) {{",
                f"        float *const y = r0 + o * {size * inner};",
                f"        memset(y + first * {inner}, 0, (last - first) * {4 * inner});",
                f"        for (size_t i = 0; i < {count}; i++) {{",
                *(f"            {line}" for line in _resolve(scatter, "a0[i]", size)),
                f"            if ({skip})",
                "                continue;",
                f"            const float *const dy = a1 + (o * {count} + i) * {inner};",
                f"            for (size_t n = 0; n < {inner}; n++)",
                f"                y[at * {inner} + n] += dy[n];",
                "        }",
                "    }",
            ]
        )


def _fills(op: IndexedOp) -> bool:
    return text(op.out_of_range) == "fill"


class TakeAlongAxisGradKernel(PlainKernel):
    """Each part adds, in order, all that belongs to its points of the dims before the axis."""

    name = "take_along_axis_grad"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (TakeAlongAxisGradOp,)

    def units(self, op: PockOp, target: Target) -> int:
        grad = cast(ScatteringOp, op)
        return _around(shape_of(grad.results[0]), integer(grad.axis))[0]

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        grad = cast(ScatteringOp, op)
        _, size, inner = _around(shape_of(grad.results[0]), integer(grad.axis))
        count = shape_of(grad.ids)[integer(grad.axis)] * inner
        add = f"r0[(u * {size} + at) * {inner} + i % {inner}] += a1[u * {count} + i];"
        lines = [
            f"memset(r0 + u * {size * inner}, 0, {4 * size * inner});",
            f"for (size_t i = 0; i < {count}; i++) {{",
            *(f"    {line}" for line in _resolve(grad, f"a0[u * {count} + i]", size)),
            *(["    if (counts)", f"        {add}"] if _fills(grad) else [f"    {add}"]),
            "}",
        ]
        return _loop(self.bounds(call, target), lines)


class CumSumKernel(PlainKernel):
    """Sums in order, all elements behind the axis side by side."""

    name = "cumsum"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (CumSumOp,)

    def units(self, op: PockOp, target: Target) -> int:
        return _around(shape_of(op.operands[0]), integer(cast(CumSumOp, op).axis))[0]

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        scan = cast(CumSumOp, op)
        _, size, inner = _around(shape_of(scan.x), integer(scan.axis))
        dtype = dtype_of(scan.x)
        place = f"{size - 1} - i" if flag(scan.reverse) else "i"
        back = f"+ {inner}" if flag(scan.reverse) else f"- {inner}"
        source = f"(x {back})[n]" if flag(scan.exclusive) else "x[n]"
        first = "0" if flag(scan.exclusive) else "x[n]"
        total = f"(y {back})[n] + {source}"
        if not dtype.is_float:  # signed overflow is undefined
            total = f"({dtype.c})((uint64_t)(y {back})[n] + (uint64_t){source})"
        lines = [
            f"for (size_t i = 0; i < {size}; i++) {{",
            f"    const size_t at = (u * {size} + ({place})) * {inner};",
            f"    const {dtype.c} *const x = a0 + at;",
            f"    {dtype.c} *const y = r0 + at;",
            f"    for (size_t n = 0; n < {inner}; n++)",
            f"        y[n] = i == 0 ? {first} : {total};",
            "}",
        ]
        return _loop(self.bounds(call, target), lines)
