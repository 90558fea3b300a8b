"""Table lookup and its gradient."""

from __future__ import annotations

from typing import ClassVar, cast

from pock_ir.dialects.embedding import EmbeddingGradOp, EmbeddingOp
from pock_ir.dialects.kern import CallOp
from pock_ir.op import PockOp, integer
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import ANY, PlainKernel
from pock_ir.targets.c.kernels.vector import Vector
from pock_ir.types import dtype_of, num_elements, shape_of


def clamped(rows: int) -> list[str]:
    """C text that declares `row`, the table's row of the index `ids[i]`."""
    return [
        f"        const int64_t id = ids[i] < 0 ? 0 : ids[i] < {rows} ? ids[i] : {rows - 1};",
        "        const size_t row = (size_t)id;",
    ]


class EmbeddingKernel(PlainKernel):
    """One memcpy per index."""

    name = "embedding"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (EmbeddingOp,)
    FLOATS: ClassVar[tuple[str, ...]] = ANY

    def units(self, op: PockOp, target: Target) -> int:
        return num_elements(cast(EmbeddingOp, op).ids)

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        table = cast(EmbeddingOp, op).table
        rows, width = shape_of(table)
        size = width * dtype_of(table).bytes
        lines = [
            self.bounds(call, target),
            f"    const {dtype_of(op.operands[1]).c} *ids = a1;",
            "    for (size_t i = first; i < last; i++) {",
            *clamped(rows),
            f"        memcpy(r0 + i * {width}, a0 + row * {width}, {size});",
        ]
        return "\n".join([*lines, "    }"])


class EmbeddingGradKernel(PlainKernel):
    """Each part owns a range of the table's rows and adds to them in the order of the indices."""

    name = "embedding_grad"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (EmbeddingGradOp,)

    def units(self, op: PockOp, target: Target) -> int:
        return integer(cast(EmbeddingGradOp, op).rows)

    def width(self, op: PockOp, target: Target) -> int:
        return target.vector.lanes(4)

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        grad = cast(EmbeddingGradOp, op)
        rows, width = shape_of(grad.results[0])
        padding = integer(grad.padding_index)
        skip = "row < first || row >= last"
        skip += f" || row == {padding}" if padding >= 0 else ""
        lanes = target.vector.lanes(4)
        vector = Vector(lanes if width >= lanes else 1)
        whole = width // vector.lanes * vector.lanes
        add = f"{vector.load('to + d')} + {vector.load('dy + d')}"
        lines = [
            self.bounds(call, target),
            f"    const {dtype_of(grad.ids).c} *ids = a0;",
            f"    memset(r0 + first * {width}, 0, (last - first) * {4 * width});",
            f"    for (size_t i = 0; i < {num_elements(grad.ids)}; i++) {{",
            *clamped(rows),
            f"        if ({skip})",
            "            continue;",
            f"        float *to = r0 + row * {width};",
            f"        const float *dy = a1 + i * {width};",
            f"        for (size_t d = 0; d < {whole}; d += {vector.lanes})",
            f"            {vector.store('to + d', add)}",
        ]
        if whole < width:
            lines.append(f"        for (size_t d = {whole}; d < {width}; d++)")
            lines.append("            to[d] += dy[d];")
        return "\n".join([*lines, "    }"])
