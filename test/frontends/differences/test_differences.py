"""Every row of docs/differences.md: each framework beside itself, and beside the others."""

from __future__ import annotations

import pytest
from all_rows import ROWS
from difference_rows import check_groups

CASES = [(topic, name) for topic, row in ROWS.items() for name in row.spellings]


@pytest.mark.parametrize(("topic", "name"), CASES)
def test_imported_as_its_framework_means_it(topic: str, name: str) -> None:
    ROWS[topic].check(name)


@pytest.mark.parametrize("topic", ROWS)
def test_frameworks_agree_and_differ_as_the_row_says(topic: str) -> None:
    check_groups(ROWS[topic])
