"""Optimizer updates with PyTorch's formulas and order of operations.

Common to all: w is the parameter, g its gradient, rate the learning rate (f32 []). g and the state
tensors have the element type of w, and cover the slice [begin, begin + size) of dim `axis` of w,
where size is theirs; all other dims agree. The rest of w is unchanged. An update of all of w has
axis = 0, begin = 0 and tensors of the shape of w (also for a w of rank 0).
Source: torch.optim, the single-tensor implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import (
    axis_of,
    between,
    expect_same_element,
    expect_type,
    finite_number,
    operand_shape,
)
from pock_ir.dialects.fields import flag_property, integer_property, number_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, flag, integer, number, require
from pock_ir.types import Array, num_elements, tensor


class UpdateOp(PockOp):
    """The parameter, its gradient and the slice that both agree on."""

    # Subclasses repeat these before their own: xDSL orders a subclass's operands first.
    w = operand_def(TensorType)
    g = operand_def(TensorType)
    weight_decay = number_property()
    axis = integer_property()
    begin = integer_property()

    def checked_update(self, rate: SSAValue, **state: SSAValue) -> None:
        """Raises VerifyException unless g, rate and state tensors fit w."""
        self.expect_slice()
        for what, value in state.items():
            expect_type(value, what, self.g.type)
        expect_type(rate, "rate", tensor((), "f32"))
        finite_number(self.weight_decay, "weight_decay", 0.0)

    def expect_slice(self) -> None:
        """Raises VerifyException unless g covers a slice of w."""
        w, g = operand_shape(self.w, "w"), operand_shape(self.g, "g")
        expect_same_element(self.g, "g", self.w, "w")
        # A rank of 0 has no axis; its only slice is all of it, as if it were a vector of one.
        axis, begin = axis_of(self.axis, max(len(w), 1)), integer(self.begin)
        agrees = len(w) == len(g) and w[:axis] + w[axis + 1 :] == g[:axis] + g[axis + 1 :]
        require(agrees, f"g of shape {list(g)} is no slice of w of shape {list(w)} on axis {axis}")
        size, room = (g[axis], w[axis]) if w else (1, 1)
        inside = 0 <= begin <= room - size
        require(inside, f"elements {begin}..{begin + size - 1} exceed the {room} of axis {axis}")

    def part(self, w: Array, g: Array) -> Array:
        """The slice of w that g covers."""
        return w[self.where(w, g)]

    def merged(self, w: Array, part: Array) -> Array:
        """w with the slice replaced by `part`."""
        result = w.copy()
        result[self.where(w, part)] = part
        return result

    def where(self, w: Array, part: Array) -> tuple[slice, ...]:
        """The index of the slice that has the shape of `part`."""
        if w.ndim == 0:
            return ()
        axis, begin = integer(self.axis), integer(self.begin)
        rows = slice(begin, begin + part.shape[axis])
        return (*(slice(None) for _ in range(axis)), rows)

    def decayed(self, w: Array, g: Array) -> Array:
        """g + weight_decay * w: L2 regularisation."""
        decay = number(self.weight_decay)
        return g + decay * w if decay else g


@irdl_op_definition
class SgdOp(UpdateOp):
    """Stochastic gradient descent: w' = w - rate (g + weight_decay w).

    w, g and slice as in the module's text; rate: f32 [] -> w' like w.
    """

    name = "train.sgd"
    w = operand_def(TensorType)
    g = operand_def(TensorType)
    rate = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_update(self.rate)
        return [self.w.type]

    def evaluate(self, *args: Array) -> Array:
        whole, g = widened(args[0]), widened(args[1])
        rate = args[2].astype(g.dtype)
        w = self.part(whole, g)
        return self.merged(whole, w - rate * self.decayed(w, g))

    def flops(self) -> int:
        """2 per updated element, 4 with weight decay."""
        return num_elements(self.g) * (4 if number(self.weight_decay) else 2)


@irdl_op_definition
class MomentumOp(UpdateOp):
    """Stochastic gradient descent with momentum.

    w, g, buf and slice as in the module's text; rate: f32 []; step: i32 [], the number of steps
    done before -> w' like w, buf' like buf. With d = g + weight_decay w:
    buf' = d at step 0, else momentum buf + (1 - dampening) d; w' = w - rate buf',
    with nesterov w' = w - rate (d + momentum buf'). nesterov needs momentum > 0, dampening = 0.
    """

    name = "train.momentum"
    w = operand_def(TensorType)
    g = operand_def(TensorType)
    buf = operand_def(TensorType)
    rate = operand_def(TensorType)
    step = operand_def(TensorType)
    momentum = number_property()
    dampening = number_property()
    nesterov = flag_property()
    new_w = result_def(TensorType)
    new_buf = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_update(self.rate, buf=self.buf)
        expect_type(self.step, "step", tensor((), "i32"))
        momentum = finite_number(self.momentum, "momentum", 0.0)
        dampening = finite_number(self.dampening, "dampening")
        plain = not flag(self.nesterov)
        require(plain or (momentum > 0 and dampening == 0), "nesterov needs momentum, no dampening")
        return [self.w.type, self.g.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        whole, g, buf = (widened(array) for array in args[:3])
        rate, step = args[3].astype(g.dtype), args[4]
        w = self.part(whole, g)
        g = self.decayed(w, g)
        momentum = number(self.momentum)
        buf = g if step == 0 else momentum * buf + (1 - number(self.dampening)) * g
        direction = g + momentum * buf if flag(self.nesterov) else buf
        return self.merged(whole, w - rate * direction), buf

    def flops(self) -> int:
        """5 per updated element, 2 more each with weight decay and Nesterov."""
        extra = 2 * (number(self.weight_decay) != 0) + 2 * flag(self.nesterov)
        return num_elements(self.g) * (5 + extra)


@irdl_op_definition
class AdamOp(UpdateOp):
    """Adam, or AdamW with `decoupled` weight decay.

    w, g, m, v and slice as in the module's text; rate, correction1, correction2: f32 [], the
    latter two from train.adam_correction -> w' like w, m' and v' like g.
    decoupled: w <- w (1 - rate weight_decay), else g <- g + weight_decay w;
    m' = m + (1 - beta1)(g - m); v' = beta2 v + (1 - beta2) g g;
    w' = w - (rate / correction1) m' / (sqrt(v') / correction2 + eps), or with
    eps_before_correction w' = w - (rate correction2 / correction1) m' / (sqrt(v') + eps).
    """

    name = "train.adam"
    w = operand_def(TensorType)
    g = operand_def(TensorType)
    m = operand_def(TensorType)
    v = operand_def(TensorType)
    rate = operand_def(TensorType)
    correction1 = operand_def(TensorType)
    correction2 = operand_def(TensorType)
    beta1 = number_property()
    beta2 = number_property()
    eps = number_property()
    decoupled = flag_property()
    eps_before_correction = flag_property()
    new_w = result_def(TensorType)
    new_m = result_def(TensorType)
    new_v = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_update(self.rate, m=self.m, v=self.v)
        expect_type(self.correction1, "correction1", tensor((), "f32"))
        expect_type(self.correction2, "correction2", tensor((), "f32"))
        between(self.beta1, 0.0, 1.0, "beta1", open_end=True)
        between(self.beta2, 0.0, 1.0, "beta2", open_end=True)
        finite_number(self.eps, "eps", 0.0)
        return [self.w.type, self.g.type, self.g.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        whole, g, m, v = (widened(array) for array in args[:4])
        rate, correction1, correction2 = (array.astype(g.dtype) for array in args[4:])
        w = self.part(whole, g)
        if flag(self.decoupled):
            w = w * (1 - rate * number(self.weight_decay))
        else:
            g = self.decayed(w, g)
        beta1, beta2 = number(self.beta1), number(self.beta2)
        m = _lerp(m, g, 1 - beta1)
        v = beta2 * v + (1 - beta2) * g * g
        if flag(self.eps_before_correction):
            rate, correction2 = rate * correction2, np.ones_like(correction2)
        denominator = np.sqrt(v) / correction2 + number(self.eps)
        return self.merged(whole, w - rate / correction1 * m / denominator), m, v

    def flops(self) -> int:
        """13 per updated element, 2 more with weight decay."""
        return num_elements(self.g) * (13 + 2 * (number(self.weight_decay) != 0))


def _lerp(start: Array, end: Array, weight: float) -> Array:
    """start + weight (end - start), computed from the nearer end as torch.lerp does."""
    if weight < 0.5:
        return start + weight * (end - start)
    return end - (end - start) * (1 - weight)


@irdl_op_definition
class LionOp(UpdateOp):
    """The sign of an interpolated momentum, with decoupled weight decay.

    w, g, m and slice as in the module's text; rate: f32 [] -> w' like w, m' like g.
    w' = w - rate (sign(m + (1 - beta1)(g - m)) + weight_decay w), sign 0 = 0;
    m' = m + (1 - beta2)(g - m). Source: Chen et al., arXiv 2302.06675.
    """

    name = "train.lion"
    w = operand_def(TensorType)
    g = operand_def(TensorType)
    m = operand_def(TensorType)
    rate = operand_def(TensorType)
    beta1 = number_property()
    beta2 = number_property()
    new_w = result_def(TensorType)
    new_m = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.checked_update(self.rate, m=self.m)
        between(self.beta1, 0.0, 1.0, "beta1", open_end=True)
        between(self.beta2, 0.0, 1.0, "beta2", open_end=True)
        return [self.w.type, self.g.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        whole, g, m = (widened(array) for array in args[:3])
        rate = args[3].astype(g.dtype)
        w = self.part(whole, g)
        step = np.sign(_lerp(m, g, 1 - number(self.beta1)))
        m = _lerp(m, g, 1 - number(self.beta2))
        return self.merged(whole, w - rate * self.decayed(w, step)), m

    def flops(self) -> int:
        """8 per updated element, 2 more with weight decay."""
        return num_elements(self.g) * (8 + 2 * (number(self.weight_decay) != 0))


@irdl_op_definition
class AdamCorrectionOp(PockOp):
    """Adam's bias corrections, computed in f64 and rounded to f32 [].

    step: i32 [], the number of steps done before ->
    correction1 = 1 - beta1^(step+1), correction2 = sqrt(1 - beta2^(step+1)).
    """

    name = "train.adam_correction"
    step = operand_def(TensorType)
    beta1 = number_property()
    beta2 = number_property()
    correction1 = result_def(TensorType)
    correction2 = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        expect_type(self.step, "step", tensor((), "i32"))
        between(self.beta1, 0.0, 1.0, "beta1", open_end=True)
        between(self.beta2, 0.0, 1.0, "beta2", open_end=True)
        return [tensor((), "f32"), tensor((), "f32")]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        count = int(args[0]) + 1
        first = 1 - number(self.beta1) ** count
        second = sqrt(1 - number(self.beta2) ** count)
        return np.array(first, np.float32), np.array(second, np.float32)

    def flops(self) -> int:
        """Two powers, two differences and a square root."""
        return 5
