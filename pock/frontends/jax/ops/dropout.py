"""Random truth values, with masks from a counter instead of JAX's generator."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    splat,
    splat_like,
)
from pock.frontends.jax.random import NAME, drop_probability
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import CompareOp
from pock_ir.types import tensor


@handles(NAME)
def bernoulli(call: Call) -> SSAValue:
    """True where dropout of ones keeps the element; `select_n` makes dropout of x of it."""
    call.require(call.is_key(0), "random numbers need a key")
    emit, shape, keep = call.emit, call.shape(), call.number(1)
    if keep is None:
        call.refuse("random truth values need a probability that is a known number")
    p = drop_probability(float(keep))
    if p <= 0.0 or p >= 1.0:
        return splat(emit, p <= 0.0, tensor(shape, "i1"))
    random = call.random()
    ones = splat(emit, 1.0, tensor(shape, "f32"))
    drawn = emit.op(DropoutOp, ones, random.seed, random.step, p=p, stream=random.stream)
    value = drawn.results[0]
    mask = emit(CompareOp, value, splat_like(emit, 0, value), predicate="gt")
    call.memory["mask", mask] = drawn
    return mask
