"""Normalisation by the root mean square, with the parts that its gradients are made of.

Source: Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv 1910.07467.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import expect_shape, finite_number
from pock_ir.dialects.fields import integer_property, number_property
from pock_ir.dialects.layer_norm import LayerOp, column
from pock_ir.dialects.wide import widened
from pock_ir.op import integer, number
from pock_ir.types import Array, dtype_of, num_elements, tensor


@irdl_op_definition
class RmsNormOp(LayerOp):
    """Each row x[i, :] over dims axis..end divided by its root mean square, times gamma.

    x: [lead..., inner...]; gamma: [inner...] -> y like x, rstd [lead...].
    rstd = 1 / sqrt(mean of x^2 + eps), y = x * rstd * gamma. All one float type.
    """

    name = "nn.rms_norm"
    x = operand_def(TensorType)
    gamma = operand_def(TensorType)
    axis = integer_property()
    eps = number_property()
    y = result_def(TensorType)
    rstd = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        lead, inner = self.split(self.x)
        finite_number(self.eps, "eps", 0.0)
        expect_shape(self.gamma, "gamma", inner, self.x)
        return [self.x.type, tensor(lead, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        x = self.rows(args[0])
        square = np.mean(np.square(x), axis=1, keepdims=True, dtype=x.dtype)
        rstd = 1.0 / np.sqrt(square + number(self.eps))
        y = x * rstd * widened(args[1]).reshape(1, -1)
        lead = args[0].shape[: integer(self.axis)]
        return y.reshape(args[0].shape), rstd.reshape(lead)

    def flops(self) -> int:
        """4 per element: mean square 2, result 2."""
        return 4 * num_elements(self.x)


@irdl_op_definition
class RmsNormGradInputOp(LayerOp):
    """The gradient of RMS normalisation to x.

    dy, x: alike; rstd: [lead...]; gamma: [inner...] -> dx like x. All one float type.
    dx = rstd (g - xhat mean(g xhat)) with g = dy gamma, xhat = x rstd, the mean over inner dims.
    """

    name = "train.rms_norm_grad_input"
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    rstd = operand_def(TensorType)
    gamma = operand_def(TensorType)
    dx = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        inner = self.checked_grad(self.dy, self.x, rstd=self.rstd)
        expect_shape(self.gamma, "gamma", inner, self.x)
        return [self.x.type]

    def evaluate(self, *args: Array) -> Array:
        dy, x, rstd, gamma = args
        xhat = self.rows(x) * column(rstd)
        g = self.rows(dy) * widened(gamma).reshape(1, -1)
        along = np.mean(g * xhat, axis=1, keepdims=True, dtype=g.dtype)
        return (column(rstd) * (g - xhat * along)).reshape(x.shape)

    def flops(self) -> int:
        """7 per element."""
        return 7 * num_elements(self.x)


@irdl_op_definition
class RmsNormGradWeightOp(LayerOp):
    """The gradient of RMS normalisation to gamma: the sum of dy x rstd over the lead dims.

    dy, x: alike; rstd: [lead...] -> [inner...]. All one float type.
    """

    name = "train.rms_norm_grad_weight"
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    rstd = operand_def(TensorType)
    dgamma = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        inner = self.checked_grad(self.dy, self.x, rstd=self.rstd)
        return [tensor(inner, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        dy, x, rstd = args
        total = np.sum(self.rows(dy) * self.rows(x) * column(rstd), axis=0)
        return total.reshape(x.shape[integer(self.axis) :])

    def flops(self) -> int:
        """3 per element."""
        return 3 * num_elements(self.x)
