"""Batch and layer normalisation, with the parts that their gradients are made of.

Variances are biased (divided by the number of elements) and computed in two passes: first the
mean, then the mean of squared differences. Statistics of a batch are summed in f64.
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
from pock_ir.types import Array, Tensor, dtype_of, num_elements, shape_of, tensor


class ChannelOp(PockOp):
    """An op on x whose dim `axis` holds the C channels; statistics are over all other dims."""

    axis = integer_property()

    def channel_type(self, x: SSAValue, what: str = "x") -> Tensor:
        """The type [C] of a per-channel vector. Raises VerifyException."""
        shape = operand_shape(x, what)
        axis = axis_of(self.axis, len(shape))
        require(num_elements(x) > 0, f"{what} has no elements to normalise")
        return tensor([shape[axis]], dtype_of(x).type)

    def others(self, x: Array) -> tuple[int, ...]:
        """All axes of x but `axis`."""
        return tuple(i for i in range(x.ndim) if i != integer(self.axis))

    def spread(self, channel: Array, x: Array) -> Array:
        """A vector [C] shaped so that it lines up with x."""
        shape = [1] * x.ndim
        shape[integer(self.axis)] = -1
        return widened(channel).reshape(shape)


def _expect_channels(wanted: Attribute, **operands: SSAValue) -> None:
    for what, operand in operands.items():
        expect_type(operand, what, wanted)


@irdl_op_definition
class BatchNormOp(ChannelOp):
    """Normalisation with the statistics of this batch, and those statistics.

    x: any rank with C channels in dim `axis`; gamma, beta: [C] -> y like x, mean [C],
    variance [C]. y = (x - mean) / sqrt(variance + eps) * gamma + beta. All one float type.
    """

    name = "nn.batch_norm"
    x = operand_def(TensorType)
    gamma = operand_def(TensorType)
    beta = operand_def(TensorType)
    eps = number_property()
    y = result_def(TensorType)
    mean = result_def(TensorType)
    variance = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        channel = self.channel_type(self.x)
        finite_number(self.eps, "eps", 0.0)
        _expect_channels(channel, gamma=self.gamma, beta=self.beta)
        return [self.x.type, channel, channel]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        x, gamma, beta = args[0], self.spread(args[1], args[0]), self.spread(args[2], args[0])
        x = x.astype(np.float64)
        mean, variance = _moments(x, self.others(x))
        y = (x - mean) / np.sqrt(variance + number(self.eps)) * gamma + beta
        return y, mean.reshape(-1), variance.reshape(-1)

    def flops(self) -> int:
        """7 per element: mean 1, variance 3, result 3 (the division is made per channel)."""
        return 7 * num_elements(self.x)


def _moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and biased variance over `axes`, which stay as size 1."""
    mean = np.mean(x, axis=axes, keepdims=True, dtype=x.dtype)
    return mean, np.mean(np.square(x - mean), axis=axes, keepdims=True, dtype=x.dtype)


@irdl_op_definition
class BatchNormInferenceOp(ChannelOp):
    """Normalisation with given statistics.

    x: any rank with C channels in dim `axis`; gamma, beta, mean, variance: [C] -> y like x.
    y = (x - mean) / sqrt(variance + eps) * gamma + beta. All one float type.
    """

    name = "nn.batch_norm_inference"
    x = operand_def(TensorType)
    gamma = operand_def(TensorType)
    beta = operand_def(TensorType)
    mean = operand_def(TensorType)
    variance = operand_def(TensorType)
    eps = number_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        channel = self.channel_type(self.x)
        finite_number(self.eps, "eps", 0.0)
        _expect_channels(channel, gamma=self.gamma, beta=self.beta, mean=self.mean)
        _expect_channels(channel, variance=self.variance)
        return [self.x.type]

    def evaluate(self, *args: Array) -> Array:
        x = widened(args[0])
        gamma, beta, mean, variance = (self.spread(channel, x) for channel in args[1:])
        return (x - mean) / np.sqrt(variance + number(self.eps)) * gamma + beta

    def flops(self) -> int:
        """3 per element: the division is made per channel."""
        return 3 * num_elements(self.x)


@irdl_op_definition
class MomentsOp(ChannelOp):
    """Mean [C] and biased variance [C] of each channel of x, in two passes. Floats."""

    name = "nn.moments"
    x = operand_def(TensorType)
    mean = result_def(TensorType)
    variance = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        channel = self.channel_type(self.x)
        return [channel, channel]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        mean, variance = _moments(args[0].astype(np.float64), self.others(args[0]))
        return mean.reshape(-1), variance.reshape(-1)

    def flops(self) -> int:
        """4 per element."""
        return 4 * num_elements(self.x)


@irdl_op_definition
class BatchNormGradSumsOp(ChannelOp):
    """The two sums per channel that all gradients of batch normalisation are made of.

    dy, x: alike; mean: [C] of their float type -> sum of dy [C] and sum of dy * (x - mean) [C],
    both f64. They are wide because the gradient of x is made orthogonal to x and to 1 by
    subtracting them: what their rounding leaves there is the same for every element, and grows
    with the number of elements when the gradient is summed up further.
    """

    name = "train.batch_norm_grad_sums"
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    mean = operand_def(TensorType)
    sum_dy = result_def(TensorType)
    sum_dy_centered = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        channel = self.channel_type(self.x)
        expect_type(self.dy, "dy", self.x.type)
        _expect_channels(channel, mean=self.mean)
        wide = tensor(shape_of(self.mean), "f64")
        return [wide, wide]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        dy, x, mean = (arg.astype(np.float64) for arg in args)
        centered = x - self.spread(mean, x)
        axes = self.others(x)
        return np.sum(dy, axis=axes), np.sum(dy * centered, axis=axes)

    def flops(self) -> int:
        """4 per element."""
        return 4 * num_elements(self.x)


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


def _column(array: Array) -> Array:
    return widened(array).reshape(-1, 1)


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
        mean, variance = _moments(x, (1,))
        rstd = 1.0 / np.sqrt(variance + number(self.eps))
        y = (x - mean) * rstd * gamma + beta
        lead = args[0].shape[: integer(self.axis)]
        return y.reshape(args[0].shape), mean.reshape(lead), rstd.reshape(lead)

    def flops(self) -> int:
        """8 per element: mean 1, variance 3, result 4."""
        return 8 * num_elements(self.x)


class LayerGradOp(LayerOp):
    """What the gradients of layer normalisation read: dy and x alike; mean, rstd: [lead...]."""

    # Subclasses repeat these before their own: xDSL orders a subclass's operands first.
    dy = operand_def(TensorType)
    x = operand_def(TensorType)
    mean = operand_def(TensorType)
    rstd = operand_def(TensorType)

    def checked_inner(self) -> Shape:
        """The shape [inner...]. Raises VerifyException."""
        lead, inner = self.split(self.x)
        expect_type(self.dy, "dy", self.x.type)
        expect_shape(self.mean, "mean", lead, self.x)
        expect_shape(self.rstd, "rstd", lead, self.x)
        return inner

    def normalised(self, x: Array, mean: Array, rstd: Array) -> Array:
        """xhat = (x - mean) * rstd as rows."""
        return (self.rows(x) - _column(mean)) * _column(rstd)


@irdl_op_definition
class LayerNormGradInputOp(LayerGradOp):
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
        inner = self.checked_inner()
        expect_shape(self.gamma, "gamma", inner, self.x)
        return [self.x.type]

    def evaluate(self, *args: Array) -> Array:
        dy, x, mean, rstd, gamma = args
        xhat = self.normalised(x, mean, rstd)
        g = self.rows(dy) * widened(gamma).reshape(1, -1)
        mean_g = np.mean(g, axis=1, keepdims=True, dtype=g.dtype)
        mean_gx = np.mean(g * xhat, axis=1, keepdims=True, dtype=g.dtype)
        return (_column(rstd) * (g - mean_g - xhat * mean_gx)).reshape(x.shape)

    def flops(self) -> int:
        """10 per element."""
        return 10 * num_elements(self.x)


@irdl_op_definition
class LayerNormGradParamsOp(LayerGradOp):
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
        parameter = tensor(self.checked_inner(), dtype_of(self.x).type)
        return [parameter, parameter]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        dy, x, mean, rstd = args
        inner = x.shape[integer(self.axis) :]
        rows = self.rows(dy)
        dgamma = np.sum(rows * self.normalised(x, mean, rstd), axis=0)
        return dgamma.reshape(inner), np.sum(rows, axis=0).reshape(inner)

    def flops(self) -> int:
        """5 per element."""
        return 5 * num_elements(self.x)
