"""One table of samples per op family; every test that asks all ops runs over them."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from samples.sample import Sample

__all__ = ["Sample", "all_samples"]


@cache
def all_samples() -> tuple[Sample, ...]:
    """The tables `SAMPLES` of all modules of this package, in alphabetical order.

    Raises ValueError if two samples of an op have one id, or a module has no table.
    """
    names = sorted(info.name for info in iter_modules(__path__) if info.name != "sample")
    samples = [s for name in names for s in import_module(f"{__name__}.{name}").SAMPLES]
    ids = [str(sample) for sample in samples]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"two samples are called {', '.join(twice)}")
    return tuple(samples)
