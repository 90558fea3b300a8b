"""Filling the regions of a program with the initial weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pock_ir.diagnostics import PockError, quote
from pock_ir.targets.c.program import blob
from pock_ir.targets.c.program.layout import ProgramLayout, StoredObject, model_hash
from pock_ir.types import Array


def region_bytes(layout: ProgramLayout, region: str, weights: Mapping[str, Array]) -> bytes:
    """The contents of a region: each object in its stored layout, zeros between and in state.

    weights: arrays under the framework's names and in its layout. Raises PockError when one is
    missing, or has another shape or dtype.
    """
    size = layout.state_bytes if region == "state" else layout.constant_bytes
    memory = np.zeros(size, np.uint8)
    for item in layout.region(region):
        if item.kind != "state":
            data = stored_array(item, weights).tobytes()
            memory[item.offset : item.offset + len(data)] = np.frombuffer(data, np.uint8)
    return memory.tobytes()


def stored_array(item: StoredObject, weights: Mapping[str, Array]) -> Array:
    """The array of `item` in the device's layout, contiguous."""
    if item.name not in weights:
        raise PockError(f"no weight is called {quote(item.name)}")
    array = weights[item.name]
    wanted = (item.framework_shape, item.spec.dtype.numpy)
    if (array.shape, array.dtype) != wanted:
        raise PockError(
            f"weight {quote(item.name)} should be {wanted[0]} {wanted[1]}, "
            f"not {array.shape} {array.dtype}"
        )
    return np.ascontiguousarray(np.transpose(array, item.permute))


def framework_array(item: StoredObject, memory: Array) -> Array:
    """The array of `item` in the framework's layout, copied out of its region's bytes (uint8)."""
    span = memory[item.offset : item.offset + item.spec.bytes]
    stored = np.frombuffer(span.tobytes(), item.spec.dtype.numpy).reshape(item.spec.shape)
    return np.ascontiguousarray(np.transpose(stored, np.argsort(item.permute)))


def initial_images(
    layout: ProgramLayout, weights: Mapping[str, Array], seed: int
) -> tuple[bytes, bytes, bytes]:
    """The constants' file, the initial state's file, and the model's hash (16 bytes)."""
    constants = region_bytes(layout, "constants", weights)
    hash = model_hash(layout, constants)
    state = region_bytes(layout, "state", weights)
    constants_image = blob.encode(blob.Image(blob.CONSTANTS, 0, 0, 0.0, hash, constants))
    state_image = blob.encode(blob.Image(blob.STATE, 0, seed, layout.rate, hash, state))
    return constants_image, state_image, hash
