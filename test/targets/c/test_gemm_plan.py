"""The cut of a matrix product, as plain arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pock_ir.targets.c  # noqa: F401  registers the targets
from pock_ir.target import target_named
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem, Split, plan, seconds, tiles

V4 = target_named("x86-64-v4")


def linear(m: int, n: int, k: int, transposed: bool = False) -> Problem:
    b = Operand(1, k) if transposed else Operand(n, 1)
    return Problem(m=m, n=n, k=k, a=Operand(k, 1), b=b)


@given(st.integers(1, 5000), st.integers(1, 300))
def test_a_split_covers_everything_once(total: int, count: int) -> None:
    split = Split(total, min(total, count))
    sizes = [split.start(i + 1) - split.start(i) for i in range(split.count)]
    assert sum(sizes) == total and set(sizes) == set(split.sizes())
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("registers", (16, 32))
def test_tiles_leave_room_for_operands(registers: int) -> None:
    for rows, vectors in tiles(registers):
        assert rows * vectors + vectors + 1 <= registers


# Channel counts of mobile nets: how many vectors of 16 lanes a tile may hold, and the tail.
@pytest.mark.parametrize(
    ("n", "vectors", "tail"),
    ((8, 1, 8), (16, 1, 0), (24, 2, 8), (40, 3, 8), (48, 3, 0), (112, 7, 0), (160, 10, 0)),
)
def test_columns_are_whole_vectors(n: int, vectors: int, tail: int) -> None:
    found = plan(linear(3136, n, 96), V4)
    assert (found.columns.total, found.tail) == (vectors, tail)
    assert found.columns.largest * found.columns.count - vectors < found.columns.count


def test_rows_of_a_small_image_are_cut_evenly() -> None:
    sizes = plan(linear(49, 24, 96), V4).rows.sizes()
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 10


def test_half_vectors_are_read_in_place_and_other_tails_packed() -> None:
    assert not plan(linear(100, 24, 40), V4).pack_b
    assert plan(linear(100, 27, 40), V4).pack_b


def test_a_transposed_operand_is_packed() -> None:
    assert plan(linear(100, 64, 40, transposed=True), V4).pack_b


def test_few_rows_read_a_large_operand_once() -> None:
    found = plan(linear(4, 4096, 1024), V4)
    assert found.columns_outer and not found.pack_b


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 5000), st.integers(1, 8))
def test_parts_are_never_more_than_threads(m: int, n: int, k: int, threads: int) -> None:
    found = plan(linear(m, n, k), V4.with_threads(threads))
    assert 1 <= found.parts <= threads


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 5000))
def test_blocks_fit_the_cache(m: int, n: int, k: int) -> None:
    found = plan(linear(m, n, k, transposed=True), V4)
    panel = 4 * found.depth * found.columns.largest * found.lanes
    assert found.chunk == 1 or found.chunk * panel <= V4.caches.l2
    assert found.depth <= max(384, min(k, 2048))


def test_a_longer_sum_takes_longer() -> None:
    times = [seconds(linear(64, 64, k), plan(linear(64, 64, k), V4), V4) for k in (64, 128, 256)]
    assert times == sorted(times)
