"""Table lookup by index and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import operand_shape, ranked
from pock_ir.dialects.fields import integer_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, require
from pock_ir.types import Array, dtype_of, num_elements, tensor


def _expect_padding(index: int, rows: int) -> None:
    require(rows > 0, "the table should have at least one row")
    inside = -1 <= index < rows
    require(inside, f"padding_index {index} should be -1 or a row of the {rows} rows")


@irdl_op_definition
class EmbeddingOp(PockOp):
    """Row ids[i] of the table for every i.

    table: floats [V, D]; ids: i32 or i64 of any shape -> [*ids, D]. Ids outside of 0..V-1 are
    clamped (the program checks its inputs before). padding_index names the row that gets no
    gradient, -1 for none; it does not change the result.
    """

    name = "nn.embedding"
    table = operand_def(TensorType)
    ids = operand_def(TensorType)
    padding_index = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        rows, width = ranked(self.table, "table", 2)
        ids = operand_shape(self.ids, "ids", "index")
        _expect_padding(integer(self.padding_index), rows)
        return [tensor((*ids, width), dtype_of(self.table).type)]

    def evaluate(self, *args: Array) -> Array:
        table, ids = args
        return table[np.clip(ids, 0, len(table) - 1)]

    def flops(self) -> int:
        """None: rows are copied."""
        return 0


@irdl_op_definition
class EmbeddingGradOp(PockOp):
    """The gradient of nn.embedding to its table: dy[i] added to row ids[i], in order of i.

    ids: i32 or i64; dy: floats [*ids, D] -> [rows, D]. Ids are clamped to 0..rows-1; the row
    padding_index (-1: none) stays 0.
    """

    name = "train.embedding_grad"
    ids = operand_def(TensorType)
    dy = operand_def(TensorType)
    rows = integer_property()
    padding_index = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        ids = operand_shape(self.ids, "ids", "index")
        dy = operand_shape(self.dy, "dy")
        fits = len(dy) == len(ids) + 1 and dy[:-1] == ids
        require(fits, f"dy of shape {list(dy)} does not fit ids of shape {list(ids)}")
        rows = integer(self.rows)
        _expect_padding(integer(self.padding_index), rows)
        return [tensor((rows, dy[-1]), dtype_of(self.dy).type)]

    def evaluate(self, *args: Array) -> Array:
        ids, dy = args[0], widened(args[1])
        rows = integer(self.rows)
        total = np.zeros((rows, dy.shape[-1]), dy.dtype)
        np.add.at(total, np.clip(ids, 0, rows - 1).reshape(-1), dy.reshape(ids.size, dy.shape[-1]))
        if integer(self.padding_index) >= 0:
            total[integer(self.padding_index)] = 0
        return total

    def flops(self) -> int:
        """One per element of dy."""
        return num_elements(self.dy)
