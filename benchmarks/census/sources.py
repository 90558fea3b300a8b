"""The modules that list models, and the packages that their models come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from pock.compiler import Job

Jobs = Mapping[str, Callable[[], Job]]


@dataclass(frozen=True)
class Source:
    """A module of this package with `MODELS`.

    packages: distributions whose versions determine the models and what they are compared with.
    """

    name: str
    module: str
    packages: tuple[str, ...]

    def models(self) -> Jobs:
        """Name -> what makes the job."""
        if find_spec(f"{__package__}.{self.module}") is None:
            return {}
        return import_module(f"{__package__}.{self.module}").MODELS


SOURCES = (
    Source("transformers", "transformers_models", ("transformers", "torch")),
    Source("torchvision", "torchvision_models", ("torchvision", "torch")),
    Source("timm", "timm_models", ("timm", "torch")),
    Source("keras", "keras_models", ("keras", "jax")),
    Source("flax", "flax_models", ("flax", "jax")),
)


def source_named(name: str) -> Source:
    """The source called `name`. Raises KeyError if there is none."""
    return {source.name: source for source in SOURCES}[name]


def all_models() -> list[str]:
    """Every model as "source/name", in the order of the sources and of their mappings."""
    return [f"{source.name}/{name}" for source in SOURCES for name in source.models()]
