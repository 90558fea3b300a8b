"""The random generator and dropout's statistics."""

import numpy as np
import pytest

from pock_ir.dialects.dropout import keep_mask, keep_threshold, threefry2x32

# From the file kat_vectors of Random123 1.14: threefry2x32, 20 rounds.
PUBLISHED = (
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
)


@pytest.mark.parametrize("key, counter, wanted", PUBLISHED)
def test_published_vectors(key, counter, wanted):
    words = threefry2x32(key, (np.uint32(counter[0]), np.uint32(counter[1])))
    assert tuple(map(int, words)) == wanted


def test_a_counter_at_a_time_equals_all_at_once():
    index, stream = np.arange(5, dtype=np.uint32), np.full(5, 9, np.uint32)
    first, second = threefry2x32((1, 2), (index, stream))
    for i in range(5):
        words = threefry2x32((1, 2), (np.uint32(i), np.uint32(9)))
        assert tuple(map(int, words)) == (first[i], second[i])


SEED, STEP = np.int32(5), np.int32(2)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_kept_elements(p):
    count = 100_000
    kept = keep_mask((count,), SEED, STEP, p, 0).sum()
    # Five standard deviations of a binomial distribution: a fixed draw, so never flaky.
    assert abs(kept - count * (1 - p)) < 5 * (count * p * (1 - p)) ** 0.5


def test_seed_step_and_stream_matter():
    masks = [
        keep_mask((256,), np.int32(seed), np.int32(step), 0.5, stream)
        for seed, step, stream in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    agreement = [np.mean(a == b) for i, a in enumerate(masks) for b in masks[:i]]
    assert all(0.3 < share < 0.7 for share in agreement)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.25, 1 / 3, 0.5, 1 - 2**-24, 1 - 2**-30])
def test_threshold_is_the_comparison_in_exact_arithmetic(p):
    threshold = keep_threshold(p)
    assert threshold * 2.0**-24 >= p
    assert threshold == 0 or (threshold - 1) * 2.0**-24 < p
