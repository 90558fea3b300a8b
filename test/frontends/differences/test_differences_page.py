"""docs/differences.md and the rows that are tested say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from all_rows import ROWS

PAGE = Path(__file__).parents[3] / "docs/differences.md"
OP = re.compile(r"`((?:nn|train)\.\w+)`")


def page_rows() -> dict[str, list[str]]:
    """Topic -> the other cells."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells if row[0] not in ("topic", "---")}


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert list(page_rows()) == list(ROWS)


@pytest.mark.parametrize("topic", ROWS)
def test_the_ops_that_the_page_names_are_in_the_ir(topic: str) -> None:
    named = set(OP.findall(page_rows()[topic][-1]))
    shown = {op for one in ROWS[topic].spellings.values() for op in one.shows}
    assert named and named <= shown
