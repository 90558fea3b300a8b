"""Arrays as a program takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pock_ir.types import Array


def fitted(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """`array` as `dtype`, or None if values could change.

    Whole numbers that fit are taken over; floats are never rounded.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "iu" or dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    fits = not array.size or (array.min() >= limits.min and array.max() <= limits.max)
    return array.astype(dtype) if fits else None
