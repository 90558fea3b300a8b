"""Random numbers, from a counter instead of PyTorch's generator state.

Dropout draws them, and so does stochastic depth, which keeps or drops whole samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.fx import Node
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    splat,
    splat_like,
)
from pock.frontends.torch.table import Call, call_arguments, handles
from pock_ir.dialects.dropout import FRACTION_BITS, DropoutOp
from pock_ir.dialects.elementwise import CompareOp, MulOp
from pock_ir.types import dtype_of

aten = torch.ops.aten


def drop_probability(kept: float) -> float:
    """1 - `kept`, without the last bits that the subtraction of a rounded 1 - p leaves."""
    return round(1.0 - kept, 12)


DRAWS: Mapping[object, Callable[[Mapping[str, Any]], float]] = {
    aten.bernoulli.p: lambda arguments: drop_probability(arguments["p"]),
    aten.dropout.default: lambda arguments: float(arguments["p"]),
    aten.native_dropout.default: lambda arguments: float(arguments["p"]),
    aten.rand.default: lambda _: 0.5,
    aten.scaled_dot_product_attention.default: lambda arguments: float(arguments["dropout_p"]),
}
"""Operators that draw random numbers, and with what probability they drop an element."""


def draws_random_numbers(node: Node) -> bool:
    """Whether `node` takes a random stream of its own; with probability 0 or 1 it needs none."""
    probability = DRAWS.get(node.target)
    if node.op != "call_function" or probability is None:
        return False
    arguments = call_arguments(node)
    return 0.0 < probability(arguments) < 1.0 and arguments.get("train") is not False


@handles(aten.dropout.default)
def dropout(call: Call) -> SSAValue:
    """x / (1 - p) where it is kept, else 0; x itself in eval mode."""
    return _drop(call, "train")


@handles(aten.native_dropout.default)
def native_dropout(call: Call) -> tuple[SSAValue | None, ...]:
    """Dropout of which only the values can be used, not the mask."""
    return (_drop(call, "train"), None)


def _drop(call: Call, train: str) -> SSAValue:
    x, p = call.tensor("input"), float(call["p"])
    if p == 0.0 or call[train] is False:
        return x
    if p == 1.0:
        return splat_like(call.emit, 0, x)
    random = call.random()
    return call.emit(DropoutOp, x, random.seed, random.step, p=p, stream=random.stream)


@handles(aten.bernoulli.p)
def bernoulli(call: Call) -> SSAValue:
    """1 with probability p, else 0; of the tensor only shape and element type count."""
    one = splat(call.emit, 1, call.result())
    p = drop_probability(call["p"])
    if p == 0.0:
        return one
    return splat(call.emit, 0, call.result()) if p == 1.0 else _kept(call, one, p)


@handles(aten.rand.default)
def rand(call: Call) -> SSAValue:
    """Numbers of [0, 1) that are added to a probability and rounded down: 0, or almost 1.

    This is how stochastic depth is written by hand. The sum is then below 1 or at least 1 as often
    as that of uniform numbers, which the IR does not have.
    """
    kept = _added_before_floor(call.node)
    call.require(
        kept is not None and 0.0 < kept < 1.0,
        "random numbers are supported as floor(keep + rand) only",
        "use dropout, or Tensor.bernoulli_(p)",
    )
    assert kept is not None
    one = splat(call.emit, 1, call.result())
    largest = splat_like(call.emit, 1.0 - 2.0**-FRACTION_BITS, one)
    return call.emit(MulOp, _kept(call, one, drop_probability(kept)), largest)


def _kept(call: Call, one: SSAValue, p: float) -> SSAValue:
    """1 where an element is kept that is dropped with probability p, else 0."""
    random, dtype = call.random(), dtype_of(one).name
    scaled = call.emit(DropoutOp, one, random.seed, random.step, p=p, stream=random.stream)
    is_kept = call.emit(CompareOp, scaled, splat_like(call.emit, 0, one), predicate="gt")
    return cast(call.emit, is_kept, dtype)


def _added_before_floor(node: Node) -> float | None:
    """The number that every use of `node` adds before it rounds down; None if one does not."""
    found: set[float] = set()
    for user in node.users:
        numbers = [item for item in user.args if isinstance(item, int | float)]
        is_sum = user.target is aten.add.Tensor and len(numbers) == 1 and not user.kwargs
        if not is_sum or any(after.target is not aten.floor.default for after in user.users):
            return None
        found.add(float(numbers[0]))
    return found.pop() if len(found) == 1 else None
