"""How far what two programs computed lies apart, tensor by tensor.

Some tensors are zero whatever the data: the gradient of a bias before a batch norm, or of the bias
of attention keys; the mean of what a convolution makes of normalised numbers. What either side
computes is then rounding error alone, and no relative error means anything. Errors of such tensors
are relative to the largest tensor of their kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pock_ir.diagnostics import PockError
from pock_ir.types import Array

VANISHING = 1e-10
"""A tensor this much smaller than the largest one is zero but for float64's rounding."""

Tensors: TypeAlias = Mapping[str, Array]
"""Tensors by framework name."""

Key: TypeAlias = tuple[int, str, str]
"""What tells compared tensors of a training apart: step (from 1), kind and name.

Kinds are "loss", "gradient" and "updated" (trained parameters and statistics after the step).
"""


@dataclass(frozen=True)
class Errors:
    """Relative errors of one tensor in the Euclidean norm; not finite if the tensor is not.

    error: of pock relative to the framework in f32; own, framework: of pock and of the framework
    relative to float64. vanishing: the tensor is exactly zero, and its errors are therefore
    relative to the largest of its kind.
    """

    error: float
    own: float
    framework: float
    vanishing: bool = False


def compare(
    ours: Tensors, theirs: Tensors, exact: Tensors, judged: Collection[str]
) -> dict[str, Errors]:
    """The errors of tensors of one kind, by name: of pock, the framework, and float64.

    judged: those that may vanish, and with whose largest they are compared then.
    Raises PockError if one side lacks a tensor that another has.
    """
    names = _common(ours, theirs, exact)
    sizes = {name: _norm(exact[name]) for name in judged}
    largest = max(sizes.values(), default=0.0)
    zero = {name for name, size in sizes.items() if size <= VANISHING * largest}
    found: dict[str, Errors] = {}
    for name in names:
        three = (ours[name], theirs[name], exact[name])
        found[name] = _errors(*three, largest if name in zero else None)
    return found


def _errors(ours: Array, theirs: Array, exact: Array, scale: float | None) -> Errors:
    """scale: what the errors are relative to; None: the tensor itself, if it is not zero."""
    a, b, truth = (np.asarray(value, np.float64) for value in (ours, theirs, exact))
    size, exact_size = (_norm(b), _norm(truth)) if scale is None else (scale, scale)
    return Errors(
        _norm(a - b) / (size or 1.0),
        _norm(a - truth) / (exact_size or 1.0),
        _norm(b - truth) / (exact_size or 1.0),
        scale is not None,
    )


def _norm(value: Array) -> float:
    return float(np.linalg.norm(np.asarray(value, np.float64).ravel()))


def _common(*sides: Tensors) -> list[str]:
    missing = set[str]().union(*sides) - set(sides[0]).intersection(*sides)
    if missing:
        names = ", ".join(sorted(missing))
        raise PockError(f"pock and the framework do not both compute these tensors: {names}")
    return sorted(sides[0])
