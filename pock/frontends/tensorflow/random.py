"""Random numbers: only those that dropout compares with a fixed probability.

The importer gives each draw its own stream of pock's counter-based generator; the training that
programs are compared with draws the same numbers. All others are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import splat, splat_like
from pock.frontends.tensorflow.table import Call
from pock_ir.dialects.dropout import FRACTION_BITS, DropoutOp, threefry2x32
from pock_ir.dialects.elementwise import CompareOp, LogicalNotOp
from pock_ir.types import Array, tensor

HELP_RANDOM = "dropout is supported: a uniform number compared with a fixed probability"


@dataclass(frozen=True)
class Uniform:
    """Random numbers of `shape`: scale * u + shift, with u from [0, 1) by the counter's stream."""

    shape: tuple[int, ...]
    stream: int
    scale: float = 1.0
    shift: float = 0.0


def uniform_numbers(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """The numbers u of a stream: multiples of 2^-24, f64. See `dialects.dropout.keep_mask`."""
    count = int(np.prod(shape, dtype=np.int64))
    key = (seed & 0xFFFFFFFF, step & 0xFFFFFFFF)
    counter = (np.arange(count, dtype=np.uint32), np.full(count, stream, np.uint32))
    first, _ = threefry2x32(key, counter)
    return (first >> np.uint32(32 - FRACTION_BITS)).reshape(shape) * 2.0**-FRACTION_BITS


def of_uniform(call: Call) -> Any:
    """The result of a call that reads random numbers. Raises Refusal if it is not supported."""
    values = [call.value(index) for index in range(len(call))]
    place = next(i for i, value in enumerate(values) if isinstance(value, Uniform))
    drawn: Uniform = values[place]
    if call.name == "Identity":
        return drawn
    number = call.number(1 - place) if len(call) == 2 else None
    if number is None:
        raise Refusal("random numbers other than dropout's are not supported", HELP_RANDOM)
    if call.name in ("Mul", "AddV2", "Add", "Sub") and not (call.name == "Sub" and place == 1):
        return _moved(drawn, call.name, float(number))
    return _compared(call, drawn, float(number), place == 1)


def _moved(drawn: Uniform, name: str, number: float) -> Uniform:
    if name == "Mul":
        return replace(drawn, scale=drawn.scale * number, shift=drawn.shift * number)
    return replace(drawn, shift=drawn.shift + (-number if name == "Sub" else number))


COMPARISONS = {
    "GreaterEqual": (True, True),
    "Greater": (True, False),
    "Less": (False, False),
    "LessEqual": (False, True),
}
"""Comparison with a bound on the right -> (true above it, true at it)."""

MIRRORED = {
    "GreaterEqual": "LessEqual",
    "LessEqual": "GreaterEqual",
    "Greater": "Less",
    "Less": "Greater",
}


def _compared(call: Call, drawn: Uniform, bound: float, is_right: bool) -> SSAValue:
    name = MIRRORED.get(call.name, call.name) if is_right else call.name
    if name not in COMPARISONS or drawn.scale <= 0:
        raise Refusal("random numbers other than dropout's are not supported", HELP_RANDOM)
    above, at = COMPARISONS[name]
    p = (bound - drawn.shift) / drawn.scale
    # Whether the bound itself belongs to what is kept (u >= p) or not (u > p).
    if above != at:
        p = (floor(p * 2**FRACTION_BITS) + 1) * 2.0**-FRACTION_BITS
    kept = _kept(call, drawn, p)
    return kept if above else call.emit(LogicalNotOp, kept)


def _kept(call: Call, drawn: Uniform, p: float) -> SSAValue:
    """True where u >= p: where dropout of ones keeps the element."""
    emit = call.emit
    if p <= 0.0 or p >= 1.0:
        return splat(emit, p <= 0.0, tensor(drawn.shape, "i1"))
    ones = splat(emit, 1.0, tensor(drawn.shape, "f32"))
    op = emit.op(DropoutOp, ones, *call.key(), p=p, stream=drawn.stream)
    mask = emit(CompareOp, op.results[0], splat_like(emit, 0, op.results[0]), predicate="gt")
    call.memory["mask", mask] = op
    return mask
