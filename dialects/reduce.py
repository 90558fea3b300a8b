"""Reductions over `axes`, which are ascending and disappear from the result's shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axes_of, axis_of, one_of, operand_type
from pock_ir.dialects.fields import integer_property, integers_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, ints, require, text
from pock_ir.types import Array, dtype_named, dtype_of, num_elements, shape_of, tensor


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


class ExtremumOp(ReduceOp):
    """A reduction that needs at least one element to compare."""

    WORD: ClassVar[str] = "maximum"

    def infer(self) -> Sequence[Attribute]:
        types = super().infer()
        shape = shape_of(self.x)
        count = prod(shape[axis] for axis in ints(self.axes))
        require(count > 0, f"there is nothing to take the {self.WORD} of")
        return types


@irdl_op_definition
class MaxOp(ExtremumOp):
    """The largest element over `axes`, NaN if one of them is NaN. Floats or integers.

    Equal largest elements share the gradient. Refused if there is nothing to compare.
    """

    name = "nn.max"

    def evaluate(self, *args: Array) -> Array:
        return np.max(args[0], axis=ints(self.axes))


@irdl_op_definition
class MinOp(ExtremumOp):
    """The smallest element over `axes`, NaN if one of them is NaN. Floats or integers.

    Equal smallest elements share the gradient. Refused if there is nothing to compare.
    """

    name = "nn.min"
    WORD: ClassVar[str] = "minimum"

    def evaluate(self, *args: Array) -> Array:
        return np.min(args[0], axis=ints(self.axes))


@irdl_op_definition
class ProdOp(ReduceOp):
    """The product over `axes`, 1 where there is nothing to multiply. Integers wrap."""

    name = "nn.prod"

    def evaluate(self, *args: Array) -> Array:
        x = widened(args[0])
        return np.prod(x, axis=ints(self.axes), dtype=x.dtype)


class ArgExtremumOp(PockOp):
    """The index along `axis` of an extreme element of x, as `index` elements (i32 or i64).

    x: floats or integers -> like x without `axis`. The first of equal elements; the first NaN if
    there is one. Refused if there is nothing to compare.
    """

    x = operand_def(TensorType)
    axis = integer_property()
    index = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        shape = shape_of(operand_type(self.x, "x", "number"))
        axis = axis_of(self.axis, len(shape))
        require(shape[axis] > 0, "there is nothing to compare")
        dtype = dtype_named(one_of(self.index, ("i32", "i64"), "index"))
        return [tensor([*shape[:axis], *shape[axis + 1 :]], dtype.type)]

    def indices(self, found: Array) -> Array:
        """numpy's result in the element type of ours."""
        return np.asarray(found).astype(dtype_named(text(self.index)).numpy)

    def flops(self) -> int:
        """One comparison per element of x."""
        return num_elements(self.x)


@irdl_op_definition
class ArgMaxOp(ArgExtremumOp):
    """The index along `axis` of the largest element, the first of equal ones or of NaNs."""

    name = "nn.argmax"

    def evaluate(self, *args: Array) -> Array:
        return self.indices(np.argmax(args[0], axis=integer(self.axis)))


@irdl_op_definition
class ArgMinOp(ArgExtremumOp):
    """The index along `axis` of the smallest element, the first of equal ones or of NaNs."""

    name = "nn.argmin"

    def evaluate(self, *args: Array) -> Array:
        return self.indices(np.argmin(args[0], axis=integer(self.axis)))
