"""Small drawn digits: a data set of any size from a few lines, for examples and tests.

Each picture shows one of ten 5x7 glyphs at a random place of an 8x8 field, with random contrast
and Gaussian noise. Only numpy is needed, and nothing is downloaded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 8
GLYPH_HEIGHT, GLYPH_WIDTH = 7, 5

# One digit per row; seven lines of five pixels each.
GLYPHS = (
    "01110 10001 10011 10101 11001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00110 01000 10000 11111",
    "01110 10001 00001 00110 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)


def _glyph(text: str) -> NDArray[np.float32]:
    return np.array([[float(pixel) for pixel in line] for line in text.split()], np.float32)


def digits(
    count: int, seed: int = 0, noise: float = 0.15
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`count` pictures of digits: f32[count, 64] around 0..1, and labels i64[count] in 0..9.

    noise: standard deviation added to every pixel. The same arguments give the same arrays.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(GLYPHS), count)
    tops = rng.integers(0, SIDE - GLYPH_HEIGHT + 1, count)
    lefts = rng.integers(0, SIDE - GLYPH_WIDTH + 1, count)
    contrast = rng.uniform(0.5, 1.0, count)
    pictures = rng.normal(0.0, noise, (count, SIDE, SIDE))
    glyphs = [_glyph(text) for text in GLYPHS]
    for i in range(count):
        rows = slice(tops[i], tops[i] + GLYPH_HEIGHT)
        columns = slice(lefts[i], lefts[i] + GLYPH_WIDTH)
        pictures[i, rows, columns] += contrast[i] * glyphs[labels[i]]
    return pictures.reshape(count, -1).astype(np.float32), labels
