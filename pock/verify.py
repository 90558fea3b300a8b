"""Comparing a compiled program with the framework that its model came from, tensor by tensor.

Both train for a few steps from the same weights on the same batches. A tensor agrees if its
relative error, in the Euclidean norm, is at most `TOLERANCE`, or if the same training in float64
shows that pock's error is no larger than the framework's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.session import Session
from pock_ir.diagnostics import PockError
from pock_ir.types import Array

if TYPE_CHECKING:
    from pock.compiler import Job

TOLERANCE = 1e-5
"""The largest relative error in norm of an f32 tensor that needs no further argument."""


@dataclass(frozen=True)
class Row:
    """One compared tensor.

    step: from 1; kind: "loss", "gradient" or "updated"; error: relative to the framework in f32;
    own, framework: errors of pock and of the framework relative to float64.
    """

    step: int
    kind: str
    name: str
    error: float
    own: float
    framework: float

    @property
    def agrees(self) -> bool:
        return self.error <= TOLERANCE or self.own <= self.framework


@dataclass(frozen=True)
class Verification:
    """All compared tensors; those that differ most first."""

    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every tensor agrees. A verification without tensors did not pass."""
        return bool(self.rows) and all(row.agrees for row in self.rows)

    def worst(self, kind: str | None = None) -> Row:
        """The tensor with the largest error, of all or of one kind."""
        chosen = [row for row in self.rows if kind in (None, row.kind)]
        return max(chosen, key=lambda row: row.error)

    def differing(self) -> tuple[Row, ...]:
        """The tensors that do not agree, in the order in which they were computed."""
        return tuple(row for row in self.rows if not row.agrees)

    def to_json(self) -> dict[str, Any]:
        rows = [{**vars(row), "agrees": row.agrees} for row in self.rows]
        return {"passed": self.passed, "tolerance": TOLERANCE, "rows": rows}


@dataclass(frozen=True)
class Trajectory:
    """What one training run went through.

    losses: one per step; gradients: per step, by parameter name, in the framework's layout (the
    trained part only); updated: after each step, every tensor that the step changes, by name.
    """

    losses: Sequence[float]
    gradients: Sequence[Mapping[str, Array]]
    updated: Sequence[Mapping[str, Array]]


def relative_error(value: Array, reference: Array) -> float:
    """|value - reference| / |reference| in the Euclidean norm; of zeros, the norm of `value`."""
    exact = np.asarray(reference, np.float64)
    difference = float(np.linalg.norm(np.asarray(value, np.float64) - exact))
    scale = float(np.linalg.norm(exact))
    return difference / scale if scale else difference


def compare(ours: Trajectory, theirs: Trajectory, exact: Trajectory) -> Verification:
    """Compare a compiled run with the framework's in f32 and in float64.

    Raises PockError if one of them lacks a tensor that the other has.
    """
    rows: list[Row] = []
    for step in range(len(ours.losses)):
        losses = ({"loss": np.asarray(run.losses[step])} for run in (ours, theirs, exact))
        rows += _rows(step, "loss", *losses)
        rows += _rows(step, "gradient", *(run.gradients[step] for run in (ours, theirs, exact)))
        rows += _rows(step, "updated", *(run.updated[step] for run in (ours, theirs, exact)))
    return Verification(tuple(rows))


def _rows(
    step: int,
    kind: str,
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    exact: Mapping[str, Array],
) -> list[Row]:
    if set(ours) != set(theirs):
        names = ", ".join(sorted(set(ours) ^ set(theirs)))
        raise PockError(f"only one side computes the {kind} of: {names}")
    rows: list[Row] = []
    for name in sorted(ours):
        errors = (
            relative_error(ours[name], theirs[name]),
            relative_error(ours[name], exact[name]),
            relative_error(theirs[name], exact[name]),
        )
        rows.append(Row(step + 1, kind, name, *errors))
    return rows


def compiled_trajectory(session: Session, arrays: Sequence[Any], steps: int) -> Trajectory:
    """Run a program that was compiled to return its gradients, `steps` times on one batch."""
    losses: list[float] = []
    gradients: list[dict[str, Array]] = []
    updated: list[dict[str, Array]] = []
    stored = {item.name: item for item in session.layout.region("state")}
    for _ in range(steps):
        results = session.run("train_step", arrays)
        if results.loss is None:
            raise PockError("the training step has no loss")
        losses.append(results.loss)
        gradients.append({n: _unpermuted(a, stored[n].permute) for n, a in results.arrays.items()})
        state = session.arrays()
        updated.append({n: a for n, a in state.items() if stored[n].kind != "state"})
    return Trajectory(losses, gradients, updated)


def _unpermuted(array: Array, permute: Sequence[int]) -> Array:
    return np.ascontiguousarray(np.transpose(array, np.argsort(permute)))


def verify_program(job: Job, steps: int) -> Verification:
    """Compile `job` once more, with its gradients as results, and compare it with its framework.

    Raises PockError if `steps` is not positive or the framework is missing.
    """
    if steps < 1:
        raise PockError("verify needs at least one step")
    from pock.frontends.torch.verify import torch_trajectories

    return compare(*torch_trajectories(job, steps))
