"""Batch normalisation, with the parts that its gradients are made of.

Variances are biased (divided by the number of elements) and computed in two passes: first the
mean, then the mean of squared differences. Statistics of a batch are summed in f64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import (
    axis_of,
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
