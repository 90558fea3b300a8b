"""The precision in which the reference semantics accumulate."""

from __future__ import annotations

import numpy as np

from pock_ir.types import Array, dtype_of_numpy


def widened(x: Array) -> Array:
    """`x`, as f32 if it has 16-bit floats: sums of those are kept in f32 on every device."""
    dtype = dtype_of_numpy(x.dtype)
    return x.astype(np.float32) if dtype.is_float and dtype.bytes == 2 else x
