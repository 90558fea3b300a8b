"""The rows of Keras once more, on its JAX backend."""

from __future__ import annotations

from dataclasses import replace

import keras
import pytest
from all_rows import ROWS
from difference_rows import check_groups

CASES = [
    (topic, name)
    for topic, row in ROWS.items()
    for name in row.spellings
    if name.split(".")[0] == "keras"
]


def test_the_backend_is_jax() -> None:
    assert keras.backend.backend() == "jax"


@pytest.mark.parametrize(("topic", "name"), CASES)
def test_imported_as_its_framework_means_it(topic: str, name: str) -> None:
    ROWS[topic].check(name)


@pytest.mark.parametrize("topic", dict(CASES))
def test_frameworks_agree_and_differ_as_the_row_says(topic: str) -> None:
    """Keras beside itself and the first of each group: the others are compared elsewhere."""
    row = ROWS[topic]
    groups = [
        [name for name in group if name == group[0] or name.split(".")[0] == "keras"]
        for group in row.groups
    ]
    check_groups(replace(row, groups=groups))
