"""The ledger of JAX's own harnesses holds: its size, its words, and a sample of its rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jax_harnesses import FAILED, PASSED, harnesses, outcome_of

LEDGER = json.loads((Path(__file__).parent / "harness_ledger.json").read_text())

STRIDE = 17
"""Every how many rows one is computed again."""


def test_ledger_is_complete() -> None:
    assert list(LEDGER) == sorted(harnesses())


def test_nothing_failed_and_enough_passed() -> None:
    statuses = [status for status, _ in LEDGER.values()]
    assert FAILED not in statuses
    assert statuses.count(PASSED) >= 350


def test_every_refusal_has_a_reason() -> None:
    assert not [
        name for name, (status, reason) in LEDGER.items() if status != PASSED and not reason
    ]


@pytest.mark.parametrize("name", list(LEDGER)[::STRIDE])
def test_sample(name: str) -> None:
    outcome = outcome_of(name)
    assert [outcome.status, outcome.reason] == LEDGER[name]
