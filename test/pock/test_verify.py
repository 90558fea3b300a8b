"""The rules of verification: what they let pass, what they find, and that runs can be repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from small_models import job

from pock.compiler import Job
from pock.deviation import Errors, Key, compare
from pock.frontends import reference_for
from pock.lockstep import Compiled, Lockstep
from pock.reference import neighbour, varied
from pock.verify import MORE_RUNS, RUNS, Repeated, Row, verify_trainings
from pock_ir.diagnostics import PockError
from pock_ir.types import Array

KEY = (1, "gradient", "w")
JUST_RIGHT = 0.9e-5


class Drawn:
    """Errors of one tensor from a mixture, in place of trainings.

    opened: the share of runs in which either side errs by 1e-2 instead of 1e-6; wrong: an error
    that pock makes in every run; first: the errors of the job's own run.
    """

    def __init__(self, opened: float, wrong: float = 0.0, first: Errors | None = None) -> None:
        self._opened, self._wrong = opened, wrong
        self._first = first or Errors(1e-2, 1e-2, 1e-6)
        self.runs = 0

    def run(self, steps: int, seed: int | None = None) -> Iterator[tuple[Key, Errors]]:
        if seed is None:
            yield KEY, self._first
            return
        self.runs += 1
        rng = np.random.default_rng(seed)
        own, framework = np.where(rng.random(2) < self._opened, 1e-2, 1e-6) * rng.random(2)
        yield KEY, Errors(1.0, float(np.hypot(own, self._wrong)), float(framework))


@pytest.mark.parametrize("opened", [0.0, 0.1, 0.5, 1.0])
def test_luck_is_no_difference(opened: float) -> None:
    drawn = Drawn(opened)
    assert verify_trainings(drawn, 1).passed
    assert drawn.runs in (RUNS, RUNS + MORE_RUNS)


@pytest.mark.parametrize("opened", [0.0, 0.1, 0.4])
def test_a_wrong_factor_is_a_difference(opened: float) -> None:
    """A gradient scaled by 1 + 1e-4, whatever else happens in some runs."""
    found = verify_trainings(Drawn(opened, 1e-4), 1)
    assert not found.passed and found.differing() == found.repeated() == found.rows


def test_one_lucky_run_is_no_evidence() -> None:
    """In the job's own run a gate opened in the framework only."""
    lucky = Errors(1e-2, 1e-4, 1e-2)
    assert not verify_trainings(Drawn(0.1, 1e-4, lucky), 1).passed
    assert verify_trainings(Drawn(0.1, 0.0, lucky), 1).passed


def test_more_runs_are_for_doubt() -> None:
    apart, near = Drawn(0.0, 1e-4), Drawn(0.4, 1e-4)
    for drawn in (apart, near):
        verify_trainings(drawn, 1)
    assert (apart.runs, near.runs) == (RUNS, RUNS + MORE_RUNS)


@pytest.mark.parametrize(
    ("errors", "close"),
    [
        (Errors(1e-5, 1.0, 1e-8), True),
        (Errors(2e-5, JUST_RIGHT, 1.1e-5), True),
        (Errors(2e-5, JUST_RIGHT, 0.8e-5), False),
        (Errors(2e-5, 1.1e-5, 2e-5), False),
        (Errors(nan, nan, 1e-6), False),
    ],
)
def test_what_a_single_run_settles(errors: Errors, close: bool) -> None:
    row = Row(*KEY, errors.error, errors.own, errors.framework)
    assert row.is_close == row.agrees == close
    drawn = Drawn(0.0, first=errors)
    verify_trainings(drawn, 1)
    assert drawn.runs == (0 if close else RUNS)


def test_errors_within_the_tolerance_are_alike() -> None:
    """Twice the framework's error in every run, where both are small."""
    assert Repeated((4e-6,) * RUNS, (2e-6,) * RUNS).agrees
    assert not Repeated((4e-5,) * RUNS, (2e-5,) * RUNS).agrees


def test_errors_that_are_always_a_little_larger() -> None:
    """No margin is given: errors of large tensors hardly vary, and ranks tell a twentieth."""
    spread = 1 + np.linspace(0, 0.02, RUNS)
    found = Repeated(tuple(4.2e-5 * spread), tuple(4e-5 * spread))
    assert found.exceedance == 1.0 and not found.agrees


@pytest.mark.parametrize("bad", [nan, inf])
def test_errors_must_be_finite(bad: float) -> None:
    assert not Repeated((*(1e-6,) * 15, bad), (1e-6,) * 16).agrees


def test_the_numbers_are_reported() -> None:
    found = verify_trainings(Drawn(0.4, 1e-4), 1)
    repeated = found.rows[0].repeated
    assert repeated is not None and found.ratio == pytest.approx(repeated.ratio)
    document = json.loads(json.dumps(found.to_json()))
    assert (document["passed"], document["repeated"], document["ratio"]) == (False, 1, found.ratio)
    row = document["rows"][0]["repeated"]
    assert row["runs"] == RUNS + MORE_RUNS and row["chance"] < 1e-5 < 0.5 < row["exceedance"]
    assert row["own_median"] / row["framework_median"] == row["ratio"]


def test_relative_errors() -> None:
    exact = {"w": np.array([3.0, 4.0]), "zero": np.array([1e-12, 0.0])}
    ours = {"w": np.array([3.0, 4.5]), "zero": np.array([1e-3, 0.0])}
    theirs = {"w": np.array([3.0, 4.0]), "zero": np.array([0.0, 0.0])}
    found = compare(ours, theirs, exact, judged=exact)
    assert found["w"] == Errors(0.1, 0.1, 0.0)
    assert found["zero"].vanishing and found["zero"].own == pytest.approx(2e-4)
    assert not compare(ours, theirs, exact, judged=())["zero"].vanishing
    with pytest.raises(PockError, match="do not both compute these tensors: w"):
        compare(ours, {"zero": ours["zero"]}, exact, judged=exact)


def test_neighbours_and_varied_batches() -> None:
    rng = np.random.default_rng(0)
    value = np.array([0.0, 1.0, -2.5, np.inf] * 50, np.float32)
    moved = neighbour(value, rng)
    steps = moved.view(np.int32) - value.view(np.int32)
    assert set(steps[value == 0]) == set(steps[np.isinf(value)]) == {0}
    assert set(steps[value == 1]) == set(steps[value == -2.5]) == {-1, 0, 1}
    assert neighbour(np.arange(3), rng).tolist() == [0, 1, 2]
    mask, data = np.array([[1, 1], [1, 0]]), np.arange(6.0).reshape(2, 3)
    other = varied([mask, data], 1)
    assert sorted(map(tuple, other[0])) == [(1, 0), (1, 1)] and sorted(other[1].flat) == list(
        range(6)
    )
    assert varied([data], 0)[0] is data


@pytest.fixture(scope="module")
def lockstep() -> Lockstep:
    return Lockstep(job("dropout", "momentum"))


def test_runs_repeat_bit_for_bit(lockstep: Lockstep) -> None:
    """Weights, statistics, optimizer, dropout and batches go back to where they began."""
    first, moved = dict(lockstep.run(3)), dict(lockstep.run(3, seed=1))
    assert dict(lockstep.run(3)) == first and dict(lockstep.run(3, seed=1)) == moved
    assert first.keys() == moved.keys()
    assert all(first[key] != errors for key, errors in moved.items() if errors.own)
    # The same start on every side: otherwise all errors would be as large as the move.
    assert max(errors.own for errors in moved.values()) < 1e-3
    assert min(errors.own for errors in moved.values()) < 1e-7


def test_frozen_weights_move_with_the_rest() -> None:
    """They are constants of the program."""
    beside = Lockstep(job("mlp", update="head"))
    moved = [dict(beside.run(1, seed=seed)) for seed in range(3)]
    assert len({run[1, "gradient", "layers.1.weight"].own for run in moved}) == 3
    assert all(errors.own < 1e-6 for run in moved for errors in run.values())


def test_a_wrong_gradient_is_found(lockstep: Lockstep, monkeypatch: pytest.MonkeyPatch) -> None:
    """One gradient 1e-4 too large, behind a batch norm and ReLUs."""
    right = Compiled.step

    def wrong(self: Compiled, batch: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        loss, gradients = right(self, batch)
        return loss, {**gradients, "6.weight": gradients["6.weight"] * np.float32(1 + 1e-4)}

    monkeypatch.setattr(Compiled, "step", wrong)
    found = verify_trainings(lockstep, 1)
    assert [row.name for row in found.differing()] == ["6.weight"]


def test_a_wrong_program_is_found() -> None:
    """Its batch norm adds another epsilon than the framework's."""
    right = job("dropout")
    wrong = job("dropout")
    wrong.model[2].eps *= 10
    assert _verified(right, right)
    assert not _verified(wrong, right)


def _verified(program: Job, framework: Job) -> bool:
    return verify_trainings(Lockstep(program, reference_for(framework)), 2).passed


def test_the_model_is_only_called() -> None:
    made = job("mobilenet", "adam")
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    beside = Lockstep(replace(made))
    for seed in (None, 0):
        list(beside.run(2, seed))
    assert all(bool((value == before[n]).all()) for n, value in made.model.state_dict().items())
