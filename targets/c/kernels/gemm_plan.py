"""How a matrix product C[M,N] = A[M,K] B[K,N] is cut: register tile, cache blocks, parts.

Plain arithmetic on the problem and the target description; no text and no IR.

- Rows are cut into `rows.count` panels whose sizes differ by at most one row, so that no panel is
  mostly empty; columns into panels of whole vectors in the same way. A tile is one row panel times
  one column panel, kept in registers.
- K is cut into blocks so that a block of B stays in the second-level cache.
Method: Goto and van de Geijn, Anatomy of high-performance matrix multiplication (2008); with A
read in place where its rows are contiguous, since one row panel of A fits the first-level cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pock_ir.target import Target
from pock_ir.targets.c.kernels.vector import Vector


@dataclass(frozen=True)
class Split:
    """`total` units in `count` runs of nearly equal size: `extra` runs of base+1, then base."""

    total: int
    count: int

    @property
    def base(self) -> int:
        return self.total // self.count

    @property
    def extra(self) -> int:
        return self.total % self.count

    @property
    def largest(self) -> int:
        return self.base + (1 if self.extra else 0)

    def start(self, index: int) -> int:
        return index * self.base + min(index, self.extra)

    def sizes(self) -> tuple[int, ...]:
        """The distinct run sizes, largest first."""
        return (self.base + 1, self.base) if self.extra else (self.base,)


@dataclass(frozen=True)
class Operand:
    """Element (i, j) of a matrix stands `i * row + j * column` floats from its base."""

    row: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One product of `m` x `k` by `k` x `n`, repeated for `batch` items.

    a and b give the strides of A[m,k] and B[k,n]. gathered: rows of A are collected into scratch
    first (im2col), so A's strides are those of the block; a row stride of 1 says that they are
    collected as columns. scattered: the rows of B are no matrix, so they are always packed. keeps:
    partial sums over K may stand in the result's own buffer.
    """

    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    batch: int = 1
    gathered: bool = False
    keeps: bool = True
    scattered: bool = False


@dataclass(frozen=True)
class Plan:
    """The cut of one problem. Sizes in elements; `columns` counts vectors of `lanes`.

    tail: valid lanes of the last vector, 0 if all. depth: K block. chunk: column panels per block
    of B. block: row panels per block of gathered A (all, if A is read in place).
    pack_b / pack_a: copy into scratch panels first. axis: what parts divide.
    """

    lanes: int
    rows: Split
    columns: Split
    tail: int
    depth: int
    chunk: int
    block: int
    pack_a: bool
    pack_b: bool
    columns_outer: bool
    axis: str
    parts: int


def tiles(registers: int) -> Iterator[tuple[int, int]]:
    """Register tiles (rows, vectors) that fit: accumulators, one row of B and one broadcast."""
    for vectors in range(1, 7):
        rows = (registers - 1 - vectors) // vectors
        if rows >= 2:
            yield min(rows, 16), vectors


FMA_LATENCY = 4
"""Cycles until the sum of an FMA can be added to; two FMA start in each."""


def ways(rows: int, vectors: int) -> int:
    """How many sums a small tile keeps for each of its elements, so that no FMA waits for another.

    They also make long sums more accurate: each has a part of the products.
    """
    return max(1, min(FMA_LATENCY, 2 * FMA_LATENCY // (rows * vectors)))


def run_length(k: int) -> int:
    """How many of `k` products are summed one after the other, for each of an element's sums.

    The error of a sum grows with its length; added in runs, it grows with the root of that, and
    least if there are as many runs as products in one. An addition is as much work as a product.
    Source: Blanchard, Higham and Mary, A class of fast and accurate summation algorithms (2020).
    """
    return 16 if k <= 256 else 32


def run(rows: int, vectors: int, k: int) -> int:
    """After how many of `k` products a tile's sums are added to what came before; 0: never."""
    length = run_length(k) * ways(rows, vectors)
    return length if k > length else 0


def tile_cycles(rows: int, vectors: int, k: int) -> float:
    """Cycles of one tile: two FMA and two loads per cycle, the FMA's latency, and a fixed start.

    A load costs a little even beside FMAs, as some miss the first-level cache; the last term is
    the store of the tile.
    """
    loads = rows + vectors
    latency = FMA_LATENCY / ways(rows, vectors)
    work = rows * vectors * (1 + 1 / run_length(k)) / 2
    step = max(work, loads / 2, latency) + 0.03 * loads
    return step * k + 16 + 1.5 * rows * vectors


def _cut(m: int, vectors: int, k: int, registers: int) -> tuple[Split, Split]:
    """Row and column panels with the smallest estimate."""
    best: tuple[float, Split, Split] | None = None
    for most_rows, most_vectors in tiles(registers):
        columns = Split(vectors, -(-vectors // most_vectors))
        if columns.largest < most_vectors and best is not None:
            continue
        rows = Split(m, -(-m // most_rows))
        cost = _total(rows, columns, k)
        if best is None or cost < best[0]:
            best = cost, rows, columns
    assert best is not None
    return best[1], best[2]


def _total(rows: Split, columns: Split, k: int) -> float:
    cost = 0.0
    for r, count_r in _runs(rows):
        for c, count_c in _runs(columns):
            cost += count_r * count_c * tile_cycles(r, c, k)
    return cost


def _runs(split: Split) -> list[tuple[int, int]]:
    pairs = [(split.base + 1, split.extra), (split.base, split.count - split.extra)]
    return [(size, count) for size, count in pairs if size and count]


def plan(problem: Problem, target: Target) -> Plan:
    """The cut of `problem` for `target`; same problem, same plan."""
    lanes = target.vector.lanes(4)
    registers = target.vector.registers if target.vector.bytes else 16
    vectors = -(-problem.n // lanes)
    depth = _depth(problem, target)
    rows, columns = _cut(problem.m, vectors, depth, registers)
    pack_b = _packs_b(problem, lanes, columns, target)
    axis, parts = _axis(problem, rows, columns, target.threads)
    chunk = _chunk(depth, columns, lanes, pack_b, target)
    large = _bytes(depth, problem.n) > _cache(target) // 2
    columns_outer = large and not pack_b and not problem.gathered
    in_place = columns_outer or columns.count <= 2 or rows.largest == 1
    return Plan(
        lanes=lanes,
        rows=rows,
        columns=columns,
        tail=problem.n % lanes,
        depth=depth,
        chunk=chunk,
        block=_block(problem, depth, rows, target),
        pack_a=problem.a.row == 1 and not in_place,
        pack_b=pack_b,
        columns_outer=columns_outer,
        axis=axis,
        parts=parts,
    )


def _cache(target: Target) -> int:
    """Bytes to block for: the second-level cache, or a small default without one."""
    return target.caches.l2 or target.caches.l1 * 8 or 1 << 16


def _bytes(rows: int, columns: int) -> int:
    return 4 * rows * columns


def _depth(problem: Problem, target: Target) -> int:
    """The K block: all of K if B fits the cache anyway, else about 384.

    Where A is read by columns, a K block of A and B together should fit.
    """
    budget = _cache(target) * 5 // 8
    if problem.a.row != 1:
        fits = _bytes(problem.k, problem.n) <= budget and problem.k <= 2048
        return problem.k if fits else _even(problem.k, 384)
    if problem.gathered:
        return _even(problem.k, max(64, min(384, budget // (8 * problem.n))))
    return _even(problem.k, max(64, min(512, budget // (4 * (problem.n + problem.m)))))


def _even(total: int, limit: int) -> int:
    """The block size that cuts `total` into equal blocks of at most `limit`, a multiple of 8."""
    blocks = -(-total // limit)
    size = -(-total // blocks)
    return min(total, -(-size // 8) * 8)


def _packs_b(problem: Problem, lanes: int, columns: Split, target: Target) -> bool:
    """Copy B into contiguous panels: needed if it is transposed or ends in a broken vector that
    has no instruction of its own; else only where many rows reuse it and it is spread out."""
    if problem.k == 0:
        return False
    transposed = problem.scattered or problem.b.column != 1
    if transposed or not Vector(lanes).has_part(problem.n % lanes):
        return True
    spread = columns.count > 1 and _bytes(problem.k, problem.n) > target.caches.l1 // 2
    return spread and problem.m >= 64


def _chunk(depth: int, columns: Split, lanes: int, pack_b: bool, target: Target) -> int:
    if not pack_b:
        return columns.count
    panel = _bytes(depth, columns.largest * lanes)
    return max(1, min(columns.count, _cache(target) * 3 // 4 // panel))


def _block(problem: Problem, depth: int, rows: Split, target: Target) -> int:
    if not problem.gathered:
        return rows.count
    budget = target.caches.l1 // 2 if problem.a.row != 1 else _cache(target) // 4
    return max(1, min(rows.count, budget // _bytes(depth, rows.largest)))


def _axis(problem: Problem, rows: Split, columns: Split, threads: int) -> tuple[str, int]:
    """What the parts divide: whichever of batch, rows and columns leaves the least idle."""
    counts = {"batch": problem.batch, "rows": rows.count, "columns": columns.count}
    best = max(counts, key=lambda axis: _balance(counts[axis], threads))
    return best, min(threads, counts[best])


def _balance(count: int, threads: int) -> float:
    """Mean load over the largest load when `count` equal items go to `threads`."""
    return count / (threads * -(-count // threads))


def seconds(problem: Problem, plan: Plan, target: Target) -> float:
    """Estimated time of all items on one core.

    The tiles' cycles at the rate where all of them are FMA, plus one cycle per vector that is
    packed or gathered, for transposed operands as many as it takes to turn them.
    """
    rate = target.rates.flops / (4 * plan.lanes)
    cycles = _total(plan.rows, plan.columns, problem.k)
    if plan.pack_b:
        width = 2 if problem.b.column == 1 else 6
        cycles += width * problem.k * plan.columns.total
    if problem.gathered:
        cycles += 2 * problem.k * problem.m / plan.lanes
    return problem.batch * cycles / rate
