"""The update of a table by its gradient, row by row: the gradient never reaches memory.

A first pass links the indices of each row into a list, in their order; a second one sums the rows
of dy along the list of each row of the table and updates the row while the sum is in registers.
"""

from __future__ import annotations

from xdsl.ir import Operation

from pock_ir.dialects.embedding import EmbeddingGradOp
from pock_ir.dialects.kern import NONE, CallOp, body_ops, updates_of
from pock_ir.dialects.optimizer import SgdOp
from pock_ir.op import PockOp, integer, number
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.embedding import clamped
from pock_ir.targets.c.kernels.epilogue import BodyEpilogue, main_op
from pock_ir.targets.c.kernels.loops import WORTH_SHARING, transfer_seconds
from pock_ir.targets.c.kernels.product import argument, moved_bytes, parameters
from pock_ir.targets.c.kernels.vector import Vector, aligned, c_function, indent, vector_of
from pock_ir.types import dtype_of, num_bytes, num_elements, shape_of


def table_update(call: Operation) -> EmbeddingGradOp | None:
    """The gradient that `call` updates a table by; None if it does anything else."""
    main = main_op(call, EmbeddingGradOp)
    if not isinstance(main, EmbeddingGradOp) or not isinstance(call, CallOp):
        return None
    return main if len(body_ops(call)) > 1 and NONE not in updates_of(call) else None


def leaves_rows_alone(call: CallOp) -> bool:
    """Whether a row without a gradient stays as it is: x - rate * 0 is x, bit for bit."""
    rest = body_ops(call)[1:]
    return len(rest) == 1 and isinstance(rest[0], SgdOp) and number(rest[0].weight_decay) == 0.0


class EmbeddingUpdateKernel(Kernel):
    """Each part owns a range of the table's rows; sums run in the order of the indices."""

    name = "embedding_update"

    def matches(self, call: Operation, target: Target) -> bool:
        return table_update(call) is not None

    def _main(self, call: Operation) -> EmbeddingGradOp:
        main = table_update(call)
        if main is None:
            raise ValueError("kernel embedding_update takes updates of a table")
        return main

    def seconds(self, call: Operation, target: Target) -> float:
        main = self._main(call)
        assert isinstance(call, CallOp)
        moved = moved_bytes(call)
        if leaves_rows_alone(call):
            moved = 4 * num_bytes(main.operands[1])
        return target.rates.call + transfer_seconds(moved, target)

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        main = self._main(call)
        return 4 * (aligned(integer(main.rows)) + num_elements(main.ids))

    def parts(self, call: Operation, target: Target) -> int:
        rows = integer(self._main(call).rows)
        return min(target.threads, rows) if self.seconds(call, target) > WORTH_SHARING else 1

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        main = self._main(call)
        assert isinstance(call, CallOp)
        width = shape_of(main.results[0])[1]
        wide = vector_of(target)
        vectors = [(wide, width // wide.lanes), (Vector(1), width % wide.lanes)]
        body = [
            *self._bounds(call, target),
            *self._lists(main),
            "for (size_t row_index = first; row_index < last; row_index++) {",
            "    const int32_t start = head[row_index];",
        ]
        if leaves_rows_alone(call):
            body.append("    if (start < 0) continue;")
        at = 0
        for vector, count in vectors:
            if count:
                end = at + count * vector.lanes
                body += indent(self._columns(call, main, target, vector, (at, end)))
                at = end
        joined = ", ".join([*parameters(call), "unsigned char *scratch", "int part"])
        return c_function(f"static void {symbol}({joined})", [*body, "}"])

    def _bounds(self, call: Operation, target: Target) -> list[str]:
        rows, parts = integer(self._main(call).rows), self.parts(call, target)
        return [
            f"const size_t first = pock_share({rows}, (size_t)part, {parts});",
            f"const size_t last = pock_share({rows}, (size_t)part + 1, {parts});",
        ]

    def _lists(self, main: EmbeddingGradOp) -> list[str]:
        """Lists of the indices of each row of this part, last index first so that they ascend."""
        rows, count = integer(main.rows), num_elements(main.ids)
        padding = integer(main.padding_index)
        skip = "row < first || row >= last"
        skip += f" || row == {padding}" if padding >= 0 else ""
        return [
            f"const {dtype_of(main.ids).c} *ids = {argument(main.ids)};",
            "int32_t *head = (int32_t *)(void *)scratch;",
            f"int32_t *next = head + {aligned(rows)};",
            "for (size_t row = first; row < last; row++) head[row] = -1;",
            f"for (size_t i = {count}; i-- > 0;) {{",
            *(line[4:] for line in clamped(rows)),
            f"    if ({skip}) continue;",
            "    next[i] = head[row];",
            "    head[row] = (int32_t)i;",
            "}",
        ]

    def _columns(
        self,
        call: CallOp,
        main: PockOp,
        target: Target,
        vector: Vector,
        span: tuple[int, int],
    ) -> list[str]:
        width = shape_of(main.results[0])[1]
        load = vector.load(f"{argument(main.operands[1])} + (size_t)i * {width} + d")
        epilogue = BodyEpilogue(call, main, target)
        return [
            f"for (size_t d = {span[0]}; d < {span[1]}; d += {vector.lanes}) {{",
            f"    {vector.type} sum = {vector.zero};",
            "    for (int32_t i = start; i >= 0; i = next[i]) sum += " + f"{load};",
            *indent(epilogue.statements("sum", "row_index", "d", 0, vector)),
            "}",
        ]
