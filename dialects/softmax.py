"""Softmax along one axis, its logarithm, and their gradients. All tensors alike, floats.

A slice with a NaN, with an inf, or of nothing but -inf gives NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axis_of, expect_type, operand_shape
from pock_ir.dialects.fields import integer_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, require
from pock_ir.types import Array, num_elements


class SoftmaxBase(PockOp):
    """An op along `axis`, which is not empty."""

    axis = integer_property()

    def checked(self, value: SSAValue, what: str) -> Attribute:
        """The type of `value`. Raises VerifyException."""
        shape = operand_shape(value, what)
        axis = axis_of(self.axis, len(shape))
        require(shape[axis] > 0, f"{what} has no elements along axis {axis}")
        return value.type

    def sum(self, x: Array) -> Array:
        """The sum along the axis, which stays as size 1."""
        return np.sum(x, axis=integer(self.axis), keepdims=True)

    def shifted(self, x: Array) -> Array:
        """x less its maximum along the axis, so that exp cannot overflow."""
        return x - np.max(x, axis=integer(self.axis), keepdims=True)

    def flops(self) -> int:
        """5 per element: maximum, difference, exponential, sum, quotient."""
        return 5 * num_elements(self.results[0])


class SoftmaxForward(SoftmaxBase):
    """x -> result."""

    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        return [self.checked(self.x, "x")]


class SoftmaxBackward(SoftmaxBase):
    """(y, dy) -> dx, from the result y of the forward op."""

    y = operand_def(TensorType)
    dy = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        type = self.checked(self.y, "y")
        expect_type(self.dy, "dy", type)
        return [type]


@irdl_op_definition
class SoftmaxOp(SoftmaxForward):
    """exp(x) / sum of exp(x) along axis."""

    name = "nn.softmax"

    def evaluate(self, *args: Array) -> Array:
        powers = np.exp(self.shifted(widened(args[0])))
        return powers / self.sum(powers)


@irdl_op_definition
class LogSoftmaxOp(SoftmaxForward):
    """x - log of the sum of exp(x) along axis."""

    name = "nn.log_softmax"

    def evaluate(self, *args: Array) -> Array:
        x = self.shifted(widened(args[0]))
        return x - np.log(self.sum(np.exp(x)))


@irdl_op_definition
class SoftmaxGradOp(SoftmaxBackward):
    """The gradient of nn.softmax from its result y: dx = y (dy - sum of dy y along axis)."""

    name = "train.softmax_grad"

    def evaluate(self, *args: Array) -> Array:
        y, dy = widened(args[0]), widened(args[1])
        return y * (dy - self.sum(dy * y))


@irdl_op_definition
class LogSoftmaxGradOp(SoftmaxBackward):
    """The gradient of nn.log_softmax from its result y: dx = dy - exp(y) sum of dy along axis."""

    name = "train.log_softmax_grad"

    def evaluate(self, *args: Array) -> Array:
        y, dy = widened(args[0]), widened(args[1])
        return dy - np.exp(y) * self.sum(dy)
