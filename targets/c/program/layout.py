"""What the emitted program consists of, read from a planned module: objects, entries, kernels.

These are plain values, so that printing C needs no IR.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from math import prod

from pock_ir.target import Target
from pock_ir.types import DType


@dataclass(frozen=True)
class TensorSpec:
    """Shape (elements per axis) and dtype of a dense row-major tensor."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def values(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * self.dtype.bytes

    def text(self) -> str:
        """Like "f32[8, 3, 32, 32]"."""
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class StoredObject:
    """A parameter, buffer, constant or optimizer state at a fixed place.

    name: the framework's name; kind: "parameter", "buffer", "constant" or "state"; region:
    "state" (changes in training) or "constants" (read only); offset in bytes; spec: as stored;
    permute: stored tensor = framework tensor transposed by it.
    """

    name: str
    kind: str
    region: str
    offset: int
    spec: TensorSpec
    permute: tuple[int, ...]

    @property
    def framework_shape(self) -> tuple[int, ...]:
        """The shape under the framework's own layout."""
        shape = [0] * len(self.permute)
        for axis, source in enumerate(self.permute):
            shape[source] = self.spec.shape[axis]
        return tuple(shape)


@dataclass(frozen=True)
class Port:
    """An argument or result of an entry that the caller passes or receives.

    kind: "input", "target", "rate", "step", "seed", "loss", "output" or "gradient".
    limit: values must lie in [0, limit), or equal `ignored`; None where any value is good.
    """

    name: str
    kind: str
    spec: TensorSpec
    limit: int | None = None
    ignored: int | None = None

    @property
    def is_result(self) -> bool:
        return self.kind in ("loss", "output", "gradient")


@dataclass(frozen=True)
class Place:
    """Where an operand lives: base is "arena", "state", "constants", or an index of a port."""

    base: str | int
    offset: int
    spec: TensorSpec


@dataclass(frozen=True)
class Call:
    """One kernel execution. `source` is the user's line, `meaning` the ops it performs."""

    kernel: str
    operands: tuple[Place, ...]
    results: tuple[Place, ...]
    scratch: int | None
    source: str
    meaning: str


@dataclass(frozen=True)
class KernelFunction:
    """One distinct kernel: its C function, the text that defines it, and its parallel parts."""

    symbol: str
    text: str
    parts: int
    scratch_bytes: int


@dataclass(frozen=True)
class Entry:
    """A function of the program: "train_step", "eval" or "infer"."""

    name: str
    ports: tuple[Port, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class ProgramLayout:
    """A whole program. Sizes in bytes; `rate` is the initial learning rate."""

    name: str
    target: Target
    arena_bytes: int
    state_bytes: int
    constant_bytes: int
    objects: tuple[StoredObject, ...]
    kernels: tuple[KernelFunction, ...]
    entries: tuple[Entry, ...]
    rate: float = 0.0
    aliases: dict[str, str] = field(default_factory=dict[str, str])

    def region(self, region: str) -> tuple[StoredObject, ...]:
        """The objects of "state" or "constants", by offset."""
        return tuple(
            sorted((o for o in self.objects if o.region == region), key=lambda o: o.offset)
        )

    def exported(self) -> tuple[StoredObject, ...]:
        """What `export` writes: trained parameters and updated buffers, by name.

        A tied parameter is written under each of its names, as the framework's loader expects.
        """
        chosen = {o.name: o for o in self.region("state") if o.kind in ("parameter", "buffer")}
        tied = {
            alias: replace(chosen[name], name=alias)
            for alias, name in self.aliases.items()
            if name in chosen
        }
        return tuple(sorted((chosen | tied).values(), key=lambda o: o.name))

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


def model_hash(layout: ProgramLayout, constants: bytes) -> bytes:
    """16 bytes that identify the program's memory: its objects, and the constants' contents."""
    digest = hashlib.sha256(layout.name.encode())
    for item in layout.objects:
        row = (item.name, item.kind, item.region, item.offset, item.spec.text(), item.permute)
        digest.update(repr(row).encode())
    digest.update(hashlib.sha256(constants).digest())
    return digest.digest()[:16]
