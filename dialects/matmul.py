"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import expect_same_element, one_of, operand_shape, ranked
from pock_ir.dialects.fields import flag_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, flag, require, text
from pock_ir.types import Array, dtype_of, num_elements, shape_of, tensor

WEIGHT_LAYOUTS = ("oi", "io")


@irdl_op_definition
class MatMulOp(PockOp):
    """lhs[B..., M, K] times rhs[B..., K, N] -> [B..., M, N], floats, with equal batch dims B.

    With transpose_lhs lhs is [B..., K, M]; with transpose_rhs rhs is [B..., N, K]. K = 0 gives 0.
    """

    name = "nn.matmul"
    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    transpose_lhs = flag_property()
    transpose_rhs = flag_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        lhs = _matrix_shape(operand_shape(self.lhs, "lhs"), flag(self.transpose_lhs), "lhs")
        rhs = _matrix_shape(operand_shape(self.rhs, "rhs"), flag(self.transpose_rhs), "rhs")
        expect_same_element(self.rhs, "rhs", self.lhs, "lhs")
        batch, other = list(lhs[:-2]), list(rhs[:-2])
        require(batch == other, f"lhs has batch dims {batch}, but rhs has {other}")
        require(
            lhs[-1] == rhs[-2], f"lhs contracts {lhs[-1]} elements, but rhs contracts {rhs[-2]}"
        )
        return [tensor([*lhs[:-1], rhs[-1]], dtype_of(self.lhs).type)]

    def evaluate(self, *args: Array) -> Array:
        lhs, rhs = widened(args[0]), widened(args[1])
        lhs = lhs.swapaxes(-1, -2) if flag(self.transpose_lhs) else lhs
        rhs = rhs.swapaxes(-1, -2) if flag(self.transpose_rhs) else rhs
        return np.matmul(lhs, rhs)

    def flops(self) -> int:
        """2 per multiply-add."""
        inner = shape_of(self.lhs)[-2 if flag(self.transpose_lhs) else -1]
        return 2 * inner * num_elements(self.results[0])


def _matrix_shape(shape: tuple[int, ...], transposed: bool, what: str) -> tuple[int, ...]:
    """`shape` with its last two dims in the order (rows, columns) of the product."""
    require(len(shape) >= 2, f"{what} should have rank 2 or more, not {len(shape)}")
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def _features(shape: tuple[int, ...], layout: str) -> tuple[int, int]:
    """(outputs, inputs) of a weight of `shape`."""
    return (shape[0], shape[1]) if layout == "oi" else (shape[1], shape[0])


@irdl_op_definition
class LinearOp(PockOp):
    """x[..., I] times a weight -> [..., O], floats, without bias.

    weight_layout "oi": w is [O, I]; "io": w is [I, O].
    """

    name = "nn.linear"
    x = operand_def(TensorType)
    w = operand_def(TensorType)
    weight_layout = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        layout = one_of(self.weight_layout, WEIGHT_LAYOUTS, "weight_layout")
        x = operand_shape(self.x, "x")
        require(len(x) >= 1, "x should have rank 1 or more, not 0")
        outputs, inputs = _features(ranked(self.w, "w", 2), layout)
        expect_same_element(self.w, "w", self.x, "x")
        require(x[-1] == inputs, f"x has {x[-1]} features, but w takes {inputs}")
        return [tensor([*x[:-1], outputs], dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        x, w = widened(args[0]), widened(args[1])
        w = w.T if text(self.weight_layout) == "oi" else w
        return np.tensordot(x, w, axes=(-1, 0))

    def flops(self) -> int:
        """2 per multiply-add."""
        return 2 * num_elements(self.results[0]) * shape_of(self.x)[-1]


@irdl_op_definition
class LinearGradWeightOp(PockOp):
    """The gradient of nn.linear to its weight: dw[o, i] = sum over leading dims of dy[o] x[i].

    x: [..., I]; dy: [..., O] -> [O, I] for weight_layout "oi", [I, O] for "io". Floats.
    """

    name = "train.linear_grad_weight"
    x = operand_def(TensorType)
    dy = operand_def(TensorType)
    weight_layout = text_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        layout = one_of(self.weight_layout, WEIGHT_LAYOUTS, "weight_layout")
        x, dy = operand_shape(self.x, "x"), operand_shape(self.dy, "dy")
        require(len(x) >= 1, "x should have rank 1 or more, not 0")
        same = len(dy) == len(x) and dy[:-1] == x[:-1]
        require(same, f"dy of shape {list(dy)} does not fit x of shape {list(x)}")
        expect_same_element(self.dy, "dy", self.x, "x")
        sizes = (dy[-1], x[-1]) if layout == "oi" else (x[-1], dy[-1])
        return [tensor(sizes, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        x, dy = widened(args[0]), widened(args[1])
        axes = tuple(range(x.ndim - 1))
        pair = (dy, x) if text(self.weight_layout) == "oi" else (x, dy)
        return np.tensordot(*pair, axes=(axes, axes))

    def flops(self) -> int:
        """2 per multiply-add."""
        return 2 * num_elements(self.x) * shape_of(self.dy)[-1]
