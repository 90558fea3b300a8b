"""Values that are known while importing: literals, constants, and what is computed from them.

They are computed by JAX itself when a handler asks for their numbers. If the program needs one as
a tensor, it is written as ops where these exist (a causal mask is comparisons of indices, which
fuse and take no memory) and stored with the weights where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pock.frontends.common import known as common

SMALL = 16
"""Up to how many elements a value is computed at once; larger ones wait until they are needed.

Counters of loops are small, so that chains of waiting values stay short.
"""

WRITTEN = frozenset(
    (
        *("add", "and", "broadcast_in_dim", "convert_element_type", "eq", "expand_dims", "ge"),
        *("gt", "iota", "le", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "reshape"),
        *("select_n", "squeeze", "sub"),
    )
)
"""Primitives that are written as ops if their known result is a tensor of the program."""


class Known(common.Known):
    """One known value. aval: its abstract value."""

    def __init__(
        self,
        aval: Any,
        compute: Callable[[], Any],
        equation: Any = None,
        operands: Sequence[Known] = (),
    ) -> None:
        super().__init__(compute, equation, operands)
        self.aval = aval

    @property
    def is_small(self) -> bool:
        return int(np.prod(self.aval.shape, dtype=np.int64)) <= SMALL


def constant(value: Any) -> Known:
    """A literal or a constant of the traced function."""
    return Known(jax.typeof(value), lambda: value)


def is_empty(atom: Any) -> bool:
    """Whether an array has no elements, so that it is known whatever it is made of."""
    dtype = getattr(atom.aval, "dtype", None)
    plain = dtype is not None and not jnp.issubdtype(dtype, jax.dtypes.extended)
    return plain and 0 in getattr(atom.aval, "shape", ())


def nothing(aval: Any) -> Known:
    """An array without elements."""
    return constant(np.zeros(aval.shape, aval.dtype))


def evaluated(equation: Any, operands: Sequence[Known]) -> list[Known]:
    """The results of an equation all of whose operands are known."""

    @cache
    def results() -> Sequence[Any]:
        values = [operand.raw for operand in operands]
        params = equation.primitive.get_bind_params(equation.params)
        found = equation.primitive.bind(*values, **params)
        return found if equation.primitive.multiple_results else [found]

    def reader(index: int) -> Callable[[], Any]:
        return lambda: results()[index]

    known = [
        Known(variable.aval, reader(index), equation, operands)
        for index, variable in enumerate(equation.outvars)
    ]
    if all(item.is_small for item in (*known, *operands)):
        results()
    return known
