"""What every op refuses, with the exact message: one module per module of the dialects."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from negatives.as_text import TEXTS
from negatives.negative import Negative

__all__ = ["NEGATIVES", "TEXTS"]

NOT_OF_OPS = {"as_text", "negative"}


def _all_negatives() -> list[Negative]:
    """The tables `NEGATIVES` of all modules of ops, in alphabetical order."""
    names = sorted(info.name for info in iter_modules(__path__) if info.name not in NOT_OF_OPS)
    return [row for name in names for row in import_module(f"{__name__}.{name}").NEGATIVES]


NEGATIVES = _all_negatives()
