"""Values that are known while importing: literals, constants, and what is computed from them.

They are computed by JAX itself when a handler asks for their numbers. If the program needs one as
a tensor, it is written as ops where these exist (a causal mask is comparisons of indices, which
fuse and take no memory) and stored with the weights where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from pock_ir.types import Array

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


class Known:
    """One known value.

    equation, operands: what it is computed from; None for literals and constants.
    """

    def __init__(
        self,
        aval: Any,
        compute: Callable[[], Any],
        equation: Any = None,
        operands: Sequence[Known] = (),
    ) -> None:
        self.aval = aval
        self.equation = equation
        self.operands = operands
        self._compute = compute
        self._array: Array | None = None

    @property
    def is_small(self) -> bool:
        return int(np.prod(self.aval.shape, dtype=np.int64)) <= SMALL

    @property
    def raw(self) -> Any:
        """The value as JAX has it: an array, or a random key."""
        return self._compute()

    @property
    def array(self) -> Array:
        """The numbers."""
        if self._array is None:
            self._array = np.asarray(self._compute())
        return self._array


def constant(value: Any) -> Known:
    """A literal or a constant of the traced function."""
    return Known(jax.typeof(value), lambda: value)


def evaluated(equation: Any, operands: Sequence[Known]) -> list[Known]:
    """The results of an equation all of whose operands are known."""
    results: list[Any] = []

    def compute() -> list[Any]:
        if not results:
            values = [operand.raw for operand in operands]
            params = equation.primitive.get_bind_params(equation.params)
            found = equation.primitive.bind(*values, **params)
            results.extend(found if equation.primitive.multiple_results else [found])
        return results

    def reader(index: int) -> Callable[[], Any]:
        return lambda: compute()[index]

    known = [
        Known(variable.aval, reader(index), equation, operands)
        for index, variable in enumerate(equation.outvars)
    ]
    if all(item.is_small for item in (*known, *operands)):
        compute()
    return known
