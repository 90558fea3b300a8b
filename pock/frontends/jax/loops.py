"""Control flow whose course is known while importing: scan is unrolled, cond and while are run.

A loop of static length is its body, that many times; the compiler sees a straight line. Anything
whose course depends on data is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import (
    reshape,
    slice_axis,
)
from pock.frontends.common.values import MISSING
from pock.frontends.jax.calls import needed_of_scan
from pock.frontends.jax.known import Known, constant
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import shape_of

if TYPE_CHECKING:
    from pock.frontends.jax.graph import GraphImporter

UNROLL_LIMIT = 1024
"""The most steps of a loop, times the equations of its body over 64, that are unrolled."""

EQUATIONS = 64

HELP_LOOP = "give the loop a length that does not depend on data"


def scan(
    importer: GraphImporter, equation: Any, operands: list[Any], wanted: Sequence[bool]
) -> Sequence[Any]:
    """`length` copies of the body; a sequence is sliced on the way in and stacked on the way out.

    Each copy is at its own place in the graph, so dropout inside has a stream for each step.
    """
    params = equation.params
    length, first, count = params["length"], params["num_consts"], params["num_carry"]
    body = params["jaxpr"]
    _check_length(length, body)
    fixed, carry = operands[:first], operands[first : first + count]
    sequences = operands[first + count :]
    needed = needed_of_scan(params, wanted)
    stacked: list[list[Any]] = [[] for _ in needed[count:]]
    order = range(length - 1, -1, -1) if params["reverse"] else range(length)
    for step in order:
        items = [_item(importer, sequence, step) for sequence in sequences]
        results = importer.body(
            body.jaxpr, map(constant, body.consts), [*fixed, *carry, *items], needed
        )
        carry = results[:count]
        for column, value in zip(stacked, results[count:], strict=True):
            column.append(value)
    if params["reverse"]:
        stacked = [column[::-1] for column in stacked]
    pairs = zip(stacked, needed[count:], strict=True)
    return [*carry, *(_stack(importer, column) if keep else MISSING for column, keep in pairs)]


def _check_length(length: int, body: Any) -> None:
    if length < 1:
        raise Refusal("a loop without steps is not supported")
    cost = length * max(1, len(body.jaxpr.eqns) // EQUATIONS)
    if cost > UNROLL_LIMIT:
        raise Refusal(
            f"a loop of {length} steps and {len(body.jaxpr.eqns)} equations is too long to unroll",
            "shorten the loop, or compile one step of it",
        )


def _item(importer: GraphImporter, sequence: Any, step: int) -> Any:
    if isinstance(sequence, Known):
        return constant(jax.numpy.asarray(sequence.raw)[step])
    if importer.values.is_key(sequence):
        return sequence
    x = importer.values.tensor(sequence)
    part = slice_axis(importer.emit, x, 0, step, step + 1)
    return reshape(importer.emit, part, shape_of(x)[1:])


def _stack(importer: GraphImporter, values: list[Any]) -> Any:
    if all(isinstance(value, Known) for value in values):
        return constant(jax.numpy.stack([value.raw for value in values]))
    if any(importer.values.is_key(value) for value in values):
        return values[0]
    tensors = [importer.values.tensor(value) for value in values]
    rows = [reshape(importer.emit, x, (1, *shape_of(x))) for x in tensors]
    return rows[0] if len(rows) == 1 else importer.emit(ConcatOp, *rows, axis=0)


def cond(
    importer: GraphImporter, equation: Any, operands: list[Any], wanted: Sequence[bool]
) -> Sequence[Any]:
    """The branch that a known index chooses."""
    index = importer.values.known(operands[0])
    if index is None:
        raise Refusal("a branch that depends on data is not supported", "use jnp.where")
    branches = equation.params["branches"]
    branch = branches[int(np.clip(int(index), 0, len(branches) - 1))]
    return importer.body(branch.jaxpr, map(constant, branch.consts), operands[1:], wanted)


def while_(
    importer: GraphImporter, equation: Any, operands: list[Any], wanted: Sequence[bool]
) -> Sequence[Any]:
    """The body as often as a condition says that is known in each step."""
    params = equation.params
    condition, body = params["cond_jaxpr"], params["body_jaxpr"]
    outside = operands[: params["cond_nconsts"]]
    start = params["cond_nconsts"] + params["body_nconsts"]
    inside, carry = operands[params["cond_nconsts"] : start], operands[start:]
    for step in range(UNROLL_LIMIT + 1):
        goes_on = importer.body(
            condition.jaxpr, map(constant, condition.consts), [*outside, *carry], [True]
        )[0]
        known = importer.values.known(goes_on)
        if known is None:
            raise Refusal("a loop whose length depends on data is not supported", HELP_LOOP)
        if not known:
            return carry
        _check_length(step + 1, body)
        every = [True] * len(body.jaxpr.outvars)
        carry = importer.body(body.jaxpr, map(constant, body.consts), [*inside, *carry], every)
    raise Refusal(f"a loop of more than {UNROLL_LIMIT} steps is too long to unroll", HELP_LOOP)


Loop = Callable[["GraphImporter", Any, list[Any], Sequence[bool]], Sequence[Any]]
"""(importer, equation, operands, which results are needed) -> results."""

LOOPS: Mapping[str, Loop] = {
    "scan": scan,
    "cond": cond,
    "while": while_,
}
