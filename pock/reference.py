"""What a frontend supplies so that a compiled program can be compared with its framework.

A frontend only trains: in f32, and in float64, which says what is exact. Batches and changes of the
weights come from here as numpy arrays, the same for every side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from pock_ir.passes.optimizer import Optimizer
from pock_ir.types import Array

Part: TypeAlias = tuple[int, Sequence[int]]
"""The trained part of a parameter: an axis, and indices along it."""


@dataclass(frozen=True)
class Setup:
    """How a program trains.

    parts: framework name -> None for all of a parameter, or its trained part in the framework's
    layout. aliases: name -> name that the program gives it, for tied parameters. seed: of dropout.
    """

    optimizer: Optimizer
    parts: Mapping[str, Part | None]
    aliases: Mapping[str, str]
    seed: int


class Training(Protocol):
    """One training in the framework: `backward`, then `update`, once per step.

    Arrays that it returns may be views of its own memory: they are valid until the next call of
    `backward` or `update`.
    """

    def backward(self, batch: Sequence[Array]) -> float:
        """Forward and backward on one batch, inputs and then targets; returns the loss."""
        ...

    def gradients(self) -> Mapping[str, Array]:
        """The last gradient of each trained parameter, or of its trained part, by name."""
        ...

    def update(self, replaced: Mapping[str, Array]) -> None:
        """Step the optimizer; the gradients of the parameters in `replaced` are those instead."""
        ...

    def updated(self) -> Mapping[str, Array]:
        """Every trained parameter (whole) and every buffer as it is now, by name."""
        ...


class Reference(Protocol):
    """A job in its framework."""

    def batch(self) -> list[Array]:
        """The example inputs and targets, in the order of the names that the importer gives."""
        ...

    def training(self, setup: Setup, double: bool, weights: Mapping[str, Array]) -> Training:
        """A training that begins with the model's weights, but for those in `weights` (f32).

        double: compute in float64 instead of f32. Each dropout draws the masks that pock's does.
        """
        ...


def varied(batch: Sequence[Array], step: int) -> list[Array]:
    """`batch` at step 0, and afterwards the same numbers in another order.

    So every value stays in its range, and floats keep their distribution. Masks and other tensors
    of zeros and ones only trade places between samples, so that none becomes all zero.
    """
    if step == 0:
        return list(batch)
    rng = np.random.default_rng(step)

    def vary(value: Array) -> Array:
        if value.ndim == 0:
            return value
        if value.dtype.kind in "biu" and bool(((value == 0) | (value == 1)).all()):
            return value[rng.permutation(value.shape[0])]
        return rng.permutation(value.reshape(-1)).reshape(value.shape)

    return [vary(value) for value in batch]


def neighbour(value: Array, rng: np.random.Generator) -> Array:
    """Every f32 of `value` moved up or down to the next one, or left as it is.

    Zeros, infinities and other dtypes stay: they are no rounded numbers.
    """
    if value.dtype != np.float32:
        return value
    direction = rng.integers(-1, 2, value.shape, dtype=np.int8)
    moves = (direction != 0) & (value != 0) & np.isfinite(value)
    away = np.copysign(np.float32(np.inf), direction, dtype=np.float32)
    return np.where(moves, np.nextafter(value, away), value)
