"""Running sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axis_of, operand_type
from pock_ir.dialects.fields import flag_property, integer_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, flag, integer
from pock_ir.types import Array, num_elements, shape_of


@irdl_op_definition
class CumSumOp(PockOp):
    """The sum of the elements up to each one along `axis`, in order. Floats or integers.

    reverse: from the last element to the first; exclusive: without the element itself. Integers
    wrap.
    """

    name = "nn.cumsum"
    x = operand_def(TensorType)
    axis = integer_property()
    exclusive = flag_property()
    reverse = flag_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x", "number")
        axis_of(self.axis, len(shape_of(x)))
        return [x]

    def evaluate(self, *args: Array) -> Array:
        x, axis = widened(args[0]), integer(self.axis)
        x = np.flip(x, axis) if flag(self.reverse) else x
        total = np.cumsum(x, axis, dtype=x.dtype)
        if flag(self.exclusive):
            first = np.zeros_like(np.take(total, [0] if x.shape[axis] else [], axis))
            rest = np.take(total, range(max(x.shape[axis] - 1, 0)), axis)
            total = np.concatenate([first, rest], axis)
        return np.flip(total, axis) if flag(self.reverse) else total

    def flops(self) -> int:
        """One per element."""
        return num_elements(self.x)
