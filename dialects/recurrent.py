"""One step of recurrent layers, from the gates' sums to the next state, and their gradients.

The matrix products of a step stand before the cell: those of all inputs are one product. Gates lie
one after the other in the last dim, so that another order is a permutation of weight rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import Shape, expect_shape, expect_type, operand_shape
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, require
from pock_ir.types import Array, num_elements


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _parts(gates: Array, count: int) -> Sequence[Array]:
    return np.split(widened(gates), count, axis=-1)


class CellOp(PockOp):
    """An op on a state [..., H] and on gates [..., G H]."""

    def checked_state(self, state: SSAValue, what: str) -> Shape:
        """The shape of the state. Raises VerifyException."""
        shape = operand_shape(state, what)
        require(len(shape) > 0, f"{what} should have a dim of cells")
        return shape

    def checked_gates(self, gates: SSAValue, what: str, count: int, state: SSAValue) -> None:
        """Raises VerifyException unless there are `count` gates for each cell."""
        shape = operand_shape(state, "state")
        expect_shape(gates, what, (*shape[:-1], count * shape[-1]), state)


@irdl_op_definition
class LstmCellOp(CellOp):
    """The next state of long short-term memory.

    gates: [..., 4 H], the sums of the gates i, f, g, o; c: [..., H] -> h' and c' like c.
    c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'). All one float type.
    """

    name = "nn.lstm_cell"
    gates = operand_def(TensorType)
    c = operand_def(TensorType)
    new_h = result_def(TensorType)
    new_c = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_state(self.c, "c")
        self.checked_gates(self.gates, "gates", 4, self.c)
        return [self.c.type, self.c.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        i, f, g, o = _parts(args[0], 4)
        c = _sigmoid(f) * widened(args[1]) + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c

    def flops(self) -> int:
        """18 per cell: 4 for each sigmoid, 2 tanh, 4 products and sums."""
        return 18 * num_elements(self.c)


@irdl_op_definition
class LstmCellGradOp(CellOp):
    """The gradient of nn.lstm_cell to its gates and c, from those of h' and c'.

    gates: [..., 4 H]; c, c', dh', dc': [..., H] -> dgates like gates, dc like c. With the
    activations i, f, g, o and t = tanh(c'): s = dc' + dh' o (1 - t^2), dc = s f and
    dgates = s g i (1 - i), s c f (1 - f), s i (1 - g^2), dh' t o (1 - o). All one float type.
    """

    name = "train.lstm_cell_grad"
    gates = operand_def(TensorType)
    c = operand_def(TensorType)
    new_c = operand_def(TensorType)
    dh = operand_def(TensorType)
    dc = operand_def(TensorType)
    dgates = result_def(TensorType)
    dold_c = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_state(self.c, "c")
        self.checked_gates(self.gates, "gates", 4, self.c)
        for what in ("new_c", "dh", "dc"):
            expect_type(getattr(self, what), what, self.c.type)
        return [self.gates.type, self.c.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        i, f, g, o = _parts(args[0], 4)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c, new_c, dh, dc = (widened(array) for array in args[1:])
        t = np.tanh(new_c)
        s = dc + dh * o * (1 - t * t)
        dgates = [s * g * i * (1 - i), s * c * f * (1 - f), s * i * (1 - g * g)]
        return np.concatenate([*dgates, dh * t * o * (1 - o)], axis=-1), s * f

    def flops(self) -> int:
        """38 per cell."""
        return 38 * num_elements(self.c)


@irdl_op_definition
class GruCellOp(CellOp):
    """The next state of a gated recurrent unit.

    x_gates, h_gates: [..., 3 H], the sums of the gates r, z, n that come from the input and from
    the state; h: [..., H] -> h' like h. With r = sigmoid(xr + hr) and z = sigmoid(xz + hz):
    n = tanh(xn + r hn), h' = n + z (h - n). All one float type.
    """

    name = "nn.gru_cell"
    x_gates = operand_def(TensorType)
    h_gates = operand_def(TensorType)
    h = operand_def(TensorType)
    new_h = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_state(self.h, "h")
        self.checked_gates(self.x_gates, "x_gates", 3, self.h)
        self.checked_gates(self.h_gates, "h_gates", 3, self.h)
        return [self.h.type]

    def evaluate(self, *args: Array) -> Array:
        (xr, xz, xn), (hr, hz, hn) = _parts(args[0], 3), _parts(args[1], 3)
        h = widened(args[2])
        n = np.tanh(xn + _sigmoid(xr + hr) * hn)
        return n + _sigmoid(xz + hz) * (h - n)

    def flops(self) -> int:
        """16 per cell."""
        return 16 * num_elements(self.h)


@irdl_op_definition
class GruCellGradOp(CellOp):
    """The gradient of nn.gru_cell to its gates and h, from that of h'.

    x_gates, h_gates: [..., 3 H]; h, dh': [..., H] -> dx_gates and dh_gates like the gates, dh.
    With the activations r, z, n: dz = dh' (h - n) z (1 - z), dn = dh' (1 - z) (1 - n^2) and
    dr = dn hn r (1 - r); dx_gates = dr, dz, dn and dh_gates = dr, dz, dn r; dh = dh' z.
    """

    name = "train.gru_cell_grad"
    x_gates = operand_def(TensorType)
    h_gates = operand_def(TensorType)
    h = operand_def(TensorType)
    dnew_h = operand_def(TensorType)
    dx_gates = result_def(TensorType)
    dh_gates = result_def(TensorType)
    dh = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_state(self.h, "h")
        self.checked_gates(self.x_gates, "x_gates", 3, self.h)
        self.checked_gates(self.h_gates, "h_gates", 3, self.h)
        expect_type(self.dnew_h, "dnew_h", self.h.type)
        return [self.x_gates.type, self.h_gates.type, self.h.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        (xr, xz, xn), (hr, hz, hn) = _parts(args[0], 3), _parts(args[1], 3)
        h, dy = widened(args[2]), widened(args[3])
        r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
        n = np.tanh(xn + r * hn)
        dz = dy * (h - n) * z * (1 - z)
        dn = dy * (1 - z) * (1 - n * n)
        dr = dn * hn * r * (1 - r)
        dx = np.concatenate([dr, dz, dn], axis=-1)
        return dx, np.concatenate([dr, dz, dn * r], axis=-1), dy * z

    def flops(self) -> int:
        """32 per cell."""
        return 32 * num_elements(self.h)
