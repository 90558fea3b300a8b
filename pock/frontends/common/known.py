"""Values that are known while importing: literals, constants, and what is computed from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pock_ir.types import Array


class Known:
    """One known value, computed by the framework when its numbers are asked for.

    origin, operands: the operation that computes it, and what from; None for data that is given.
    """

    def __init__(
        self, compute: Callable[[], Any], origin: Any = None, operands: Sequence[Any] = ()
    ) -> None:
        self.origin = origin
        self.operands = operands
        self._compute = compute
        self._array: Array | None = None

    @property
    def raw(self) -> Any:
        """The value as the framework has it."""
        return self._compute()

    @property
    def array(self) -> Array:
        """The numbers."""
        if self._array is None:
            self._array = np.asarray(self._compute())
        return self._array
