"""Normalisation of rows: what such ops share, and layer normalisation with its gradients.

Variances are biased (divided by the number of elements) and computed in two passes: first the
mean, then the mean of squared differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import (
    Shape,
    axis_of,
    expect_shape,
    expect_type,
    finite_number,
    operand_shape,
)
from pock_ir.dialects.fields import integer_property, number_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, number, require
from pock_ir.types import Array, dtype_of, num_elements, tensor


class LayerOp(PockOp):
    """An op on x that normalises over dims axis..end: `lead` dims before, `inner` dims from it."""

    axis = integer_property()

    def split(self, x: SSAValue) -> tuple[Shape, Shape]:
        """(lead, inner) of x. Raises VerifyException."""
        shape = operand_shape(x, "x")
        axis = axis_of(self.axis, len(shape))
        require(prod(shape[axis:]) > 0, "x has no elements to normalise over")
        return shape[:axis], shape[axis:]

    def rows(self, array: Array) -> Array:
        """An array like x as [product of lead, product of inner]."""
        lead = array.shape[: integer(self.axis)]
        return widened(array).reshape(prod(lead), -1)

    def checked_grad(self, dy: SSAValue, x: SSAValue, **statistics: SSAValue) -> Shape:
        """The shape [inner...] of x, which dy is like; statistics: [lead...].

        Raises VerifyException.
        """
        lead, inner = self.split(x)
        expect_type(dy, "dy", x.type)
        for what, value in statistics.items():
            expect_shape(value, what, lead, x)
        return inner


def column(statistic: Array) -> Array:
    """A statistic [lead...] so that it lines up with rows."""
    return widened(statistic).reshape(-1, 1)


@irdl_op_definition
class LayerNormOp(LayerOp):
    """Normalisation of each row x[i, :] over dims axis..end, with its statistics.

    x: [lead..., inner...]; gamma, beta: [inner...] -> y like x, mean [lead...], rstd [lead...].
    rstd = 1 / sqrt(variance + eps), y = (x - mean) * rstd * gamma + beta. All one float type.
    """

    name = "nn.layer_norm"
    x = operand_def(TensorType)
    gamma = operand_def(TensorType)
    beta = operand_def(TensorType)
    eps = number_property()
    y = result_def(TensorType)
    mean = result_def(TensorType)
    rstd = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        lead, inner = self.split(self.x)
        finite_number(self.eps, "eps", 0.0)
        expect_shape(self.gamma, "gamma", inner, self.x)
        expect_shape(self.beta, "beta", inner, self.x)
        statistics = tensor(lead, dtype_of(self.x).type)
        return [self.x.type, statistics, statistics]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        x = self.rows(args[0])
        gamma, beta = widened(args[1]).reshape(1, -1), widened(args[2]).reshape(1, -1)
        mean = np.mean(x, axis=1, keepdims=True, dtype=x.dtype)
        variance = np.mean(np.square(x - mean), axis=1, keepdims=True, dtype=x.dtype)
        rstd = 1.0 / np.sqrt(variance + number(self.eps))
        y = (x - mean) * rstd * gamma + beta
        lead = args[0].shape[: integer(self.axis)]
        return y.reshape(args[0].shape), mean.reshape(lead), rstd.reshape(lead)

    def flops(self) -> int:
        """8 per element: mean 1, variance 3, result 4."""
        return 8 * num_elements(self.x)


def _normalised(op: LayerOp, x: Array, mean: Array, rstd: Array) -> Array:
    """xhat = (x - mean) * rstd as rows."""
    return (op.rows(x) - column(mean)) * column(rstd)


@irdl_op_definition
class LayerNormGradInputOp(LayerOp):
    """The gradient of layer normalisation to x.

    dy, x: alike; mean, rstd: [lead...]; gamma: [inner...] -> dx like x. All one float type.
    dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gamma, means over the inner dims.
    """

    name = "train.layer_norm_grad_input"
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    mean = operand_def(TensorType)
    rstd = operand_def(TensorType)
    gamma = operand_def(TensorType)
    dx = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        inner = self.checked_grad(self.dy, self.x, mean=self.mean, rstd=self.rstd)
        expect_shape(self.gamma, "gamma", inner, self.x)
        return [self.x.type]

    def evaluate(self, *args: Array) -> Array:
        dy, x, mean, rstd, gamma = args
        xhat = _normalised(self, x, mean, rstd)
        g = self.rows(dy) * widened(gamma).reshape(1, -1)
        mean_g = np.mean(g, axis=1, keepdims=True, dtype=g.dtype)
        mean_gx = np.mean(g * xhat, axis=1, keepdims=True, dtype=g.dtype)
        return (column(rstd) * (g - mean_g - xhat * mean_gx)).reshape(x.shape)

    def flops(self) -> int:
        """10 per element."""
        return 10 * num_elements(self.x)


@irdl_op_definition
class LayerNormGradParamsOp(LayerOp):
    """The gradients of layer normalisation to gamma and beta, both [inner...].

    dy, x: alike; mean, rstd: [lead...]. dgamma = sum of dy xhat and dbeta = sum of dy over the
    lead dims, with xhat = (x - mean) rstd. All one float type.
    """

    name = "train.layer_norm_grad_params"
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    mean = operand_def(TensorType)
    rstd = operand_def(TensorType)
    dgamma = result_def(TensorType)
    dbeta = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        inner = self.checked_grad(self.dy, self.x, mean=self.mean, rstd=self.rstd)
        parameter = tensor(inner, dtype_of(self.x).type)
        return [parameter, parameter]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        dy, x, mean, rstd = args
        inner = x.shape[integer(self.axis) :]
        rows = self.rows(dy)
        dgamma = np.sum(rows * _normalised(self, x, mean, rstd), axis=0)
        return dgamma.reshape(inner), np.sum(rows, axis=0).reshape(inner)

    def flops(self) -> int:
        """5 per element."""
        return 5 * num_elements(self.x)
