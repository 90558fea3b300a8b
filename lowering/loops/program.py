"""What a generic kernel computes, as nests over an iteration space: the plan before the loops.

A nest runs over a domain, the shape of its largest tensors. Some of its dims may be reduced. Every
value is an `Expr` whose arguments are the nest's sources; it is computed at the outermost loop
where everything it reads is known. A reduction's value is a source of later expressions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pock_ir.scalar import Expr
from pock_ir.types import DType, dtype_named

Dims: TypeAlias = frozenset[int]


@dataclass(frozen=True)
class Access:
    """An element of a buffer for each point of the domain: offset + sum of stride * index.

    buffer: the number of a function argument (operands, results, then scratch); strides: in
    elements, one per dim of the domain.
    """

    buffer: int
    dtype: DType
    strides: tuple[int, ...]
    offset: int = 0


@dataclass(frozen=True)
class Position:
    """The number offset + sum of stride * index, as i32."""

    strides: tuple[int, ...]
    offset: int = 0
    dtype: DType = field(default=dtype_named("i32"))


@dataclass(frozen=True)
class Reduced:
    """The value of reduction number `index` of this nest."""

    index: int
    dtype: DType


@dataclass(frozen=True)
class Total:
    """The value of reduction number `index` of the earlier nest `nest`, which keeps no dims."""

    nest: int
    index: int
    dtype: DType


Source: TypeAlias = Access | Position | Reduced | Total


@dataclass(frozen=True)
class Reduction:
    """`kind` ("sum", "max" or "prod") of `value` over the reduced dims, in a fixed order."""

    kind: str
    value: Expr
    dtype: DType


@dataclass(frozen=True)
class Store:
    """Write `value` to an element of a result."""

    to: Access
    value: Expr


@dataclass(frozen=True)
class Nest:
    """Loops over a domain of `sizes`; `reduced` dims are summed over.

    The reductions come before what reads them. Stores to accesses that do not move along the
    reduced dims happen once for each point of the other dims.
    """

    sizes: tuple[int, ...]
    reduced: Dims
    sources: tuple[Source, ...]
    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]

    @property
    def kept(self) -> Dims:
        return frozenset(range(len(self.sizes))) - self.reduced

    def source_dims(self, source: Source) -> Dims:
        """The dims along which a source changes."""
        if isinstance(source, Reduced):
            return self.kept
        if isinstance(source, Total):
            return frozenset()
        return frozenset(dim for dim, stride in enumerate(source.strides) if stride)

    def accesses(self) -> Iterable[Access | Position]:
        """Everything that has strides."""
        for source in self.sources:
            if isinstance(source, Access | Position):
                yield source
        for store in self.stores:
            yield store.to


@dataclass(frozen=True)
class Buffer:
    """A function argument: `elements` of `dtype`."""

    dtype: DType
    elements: int


@dataclass(frozen=True)
class LoopProgram:
    """Nests in order, over buffers (operands, results, then scratch).

    aliases[r] = b: buffer r is the same memory as buffer b. split: whether all nests may be
    shared out over the points of their kept dims.
    """

    buffers: tuple[Buffer, ...]
    nests: tuple[Nest, ...]
    aliases: Mapping[int, int]
    split: bool = True
    scratch: int | None = None


def nodes(expression: Expr, known: Container[Expr] = ()) -> Iterator[Expr]:
    """Each distinct node of `expression` once, operands first; not those in `known`, nor what is
    below them. Without recursion: fused bodies may be hundreds of nodes deep."""
    seen: set[Expr] = set()
    stack = [(expression, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen and node not in known:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.args))


def dims_of(nest: Nest, expression: Expr, known: dict[Expr, Dims]) -> Dims:
    """The dims along which an expression changes."""
    for node in nodes(expression, known):
        if node.op == "arg":
            known[node] = nest.source_dims(nest.sources[node.index])
        else:
            known[node] = frozenset[int]().union(*(known[child] for child in node.args))
    return known[expression]


def level_of(nest: Nest, expression: Expr, known: dict[Expr, int]) -> int:
    """How many passes over the reduced dims must be done before `expression` is known."""
    for node in nodes(expression, known):
        known[node] = max((known[child] for child in node.args), default=0)
        source = nest.sources[node.index] if node.op == "arg" else None
        if isinstance(source, Reduced):
            known[node] = 1 + level_of(nest, nest.reductions[source.index].value, known)
    return known[expression]


def collapsed(nest: Nest) -> Nest:
    """The same nest without dims of size 1, and with dims merged that all accesses step through
    as one."""
    dims = [dim for dim, size in enumerate(nest.sizes) if size != 1]
    groups: list[list[int]] = []
    for dim in dims:
        if groups and _merges(nest, groups[-1][-1], dim):
            groups[-1].append(dim)
        else:
            groups.append([dim])
    last = [group[-1] for group in groups]

    def moved(strides: Sequence[int]) -> tuple[int, ...]:
        return tuple(strides[dim] for dim in last)

    sources = tuple(
        replace(source, strides=moved(source.strides))
        if isinstance(source, Access | Position)
        else source
        for source in nest.sources
    )
    stores = tuple(
        Store(replace(store.to, strides=moved(store.to.strides)), store.value)
        for store in nest.stores
    )
    return Nest(
        sizes=tuple(_product(nest.sizes[dim] for dim in group) for group in groups),
        reduced=frozenset(i for i, dim in enumerate(last) if dim in nest.reduced),
        sources=sources,
        reductions=nest.reductions,
        stores=stores,
    )


def _merges(nest: Nest, outer: int, inner: int) -> bool:
    if (outer in nest.reduced) != (inner in nest.reduced):
        return False
    size = nest.sizes[inner]
    return all(a.strides[outer] == a.strides[inner] * size for a in nest.accesses())


def _product(sizes: Iterable[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a dense row-major tensor, in elements."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
