"""Activations that are made of several ops."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import splat_like
from pock.frontends.tensorflow.ops.elementwise import choose, compare, scaled
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.elementwise import AbsOp, AddOp, ClampOp, DivOp, ExpOp
from pock_ir.dialects.functions import Expm1Op, Log1pOp

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""The constants of self-normalising networks (Klambauer et al., 2017), as TensorFlow has them."""

SOFTPLUS_LARGE = 13.942385
"""Above this, softplus(x) is x in f32: the logarithm of its epsilon plus 2, negated."""


@handles("Relu6")
def relu6(call: Call) -> SSAValue:
    """x clamped to [0, 6]; without a gradient at the bounds."""
    return call.emit(ClampOp, call.x(), min=0.0, max=6.0)


@handles("LeakyRelu")
def leaky_relu(call: Call) -> SSAValue:
    """x where x > 0, else alpha * x."""
    emit, x = call.emit, call.x()
    return choose(emit, compare(emit, x, 0, "gt"), x, scaled(emit, x, call.attr("alpha")))


@handles("Elu", "Selu")
def elu(call: Call) -> SSAValue:
    """e^x - 1 where x < 0, else x; Selu scales both.

    The exponential only sees what is negative: an overflow in the branch that is not taken would
    make a NaN of the gradient.
    """
    emit, x = call.emit, call.x()
    scale, alpha = (SELU_SCALE, SELU_ALPHA) if call.name == "Selu" else (1.0, 1.0)
    negative = compare(emit, x, 0, "lt")
    below = emit(Expm1Op, choose(emit, negative, x, 0))
    return choose(emit, negative, scaled(emit, below, scale * alpha), scaled(emit, x, scale))


@handles("Softplus")
def softplus(call: Call) -> SSAValue:
    """log(1 + e^x), and x itself where that is the same; guarded like elu."""
    emit, x = call.emit, call.x()
    small = compare(emit, x, SOFTPLUS_LARGE, "le")
    curve = emit(Log1pOp, emit(ExpOp, choose(emit, small, x, 0)))
    return choose(emit, small, curve, x)


@handles("Softsign")
def softsign(call: Call) -> SSAValue:
    """x / (1 + |x|)."""
    emit, x = call.emit, call.x()
    size = emit(AbsOp, x)
    return emit(DivOp, x, emit(AddOp, size, splat_like(emit, 1, size)))
