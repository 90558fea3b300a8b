"""Reductions over `axes`, which are ascending and disappear from the result's shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axes_of, operand_type
from pock_ir.dialects.fields import integers_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, ints, require
from pock_ir.types import Array, dtype_of, num_elements, shape_of, tensor


class ReduceOp(PockOp):
    """x reduced over `axes`; without axes the result is x."""

    ELEMENTS: ClassVar[str] = "number"
    x = operand_def(TensorType)
    axes = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x", self.ELEMENTS)
        shape = shape_of(x)
        axes = axes_of(self.axes, len(shape))
        kept = [size for axis, size in enumerate(shape) if axis not in axes]
        return [tensor(kept, dtype_of(x).type)]

    def flops(self) -> int:
        """One per element of x."""
        return num_elements(self.x)


@irdl_op_definition
class SumOp(ReduceOp):
    """The sum over `axes`, 0 where there is nothing to add. Floats or integers; integers wrap."""

    name = "nn.sum"

    def evaluate(self, *args: Array) -> Array:
        x = widened(args[0])
        return np.sum(x, axis=ints(self.axes), dtype=x.dtype)


@irdl_op_definition
class MeanOp(ReduceOp):
    """The sum over `axes` divided by the number of elements added, for floats.

    Refused if there is nothing to add.
    """

    name = "nn.mean"
    ELEMENTS: ClassVar[str] = "float"

    def infer(self) -> Sequence[Attribute]:
        types = super().infer()
        require(self.count() > 0, "there is nothing to take the mean of")
        return types

    def count(self) -> int:
        """How many elements of x each result element is the mean of."""
        shape = shape_of(self.x)
        return prod(shape[axis] for axis in ints(self.axes))

    def evaluate(self, *args: Array) -> Array:
        x = widened(args[0])
        return np.mean(x, axis=ints(self.axes), dtype=x.dtype)


@irdl_op_definition
class MaxOp(ReduceOp):
    """The largest element over `axes`, NaN if one of them is NaN. Floats or integers.

    Refused if there is nothing to compare.
    """

    name = "nn.max"

    def infer(self) -> Sequence[Attribute]:
        types = super().infer()
        shape = shape_of(self.x)
        count = prod(shape[axis] for axis in ints(self.axes))
        require(count > 0, "there is nothing to take the maximum of")
        return types

    def evaluate(self, *args: Array) -> Array:
        return np.max(args[0], axis=ints(self.axes))
