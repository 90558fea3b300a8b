"""Comparing a compiled program with the framework that its model came from, tensor by tensor.

Both train for a few steps from the same weights on the same batches, in f32, and so does the
framework in float64, which says what is exact. A tensor agrees if its relative error, in the
Euclidean norm, is at most `TOLERANCE`, or if pock's error against float64 is no larger than the
framework's own.

Some gradients are zero whatever the data: of a bias before a batch norm, or of the bias of
attention keys. What either side computes is then rounding error alone, and no relative error means
anything. A gradient counts as such if its float64 norm is below `VANISHING` times that of the
largest gradient of the step (float64 rounding, nothing else, gives that). Its errors are then
stated relative to that largest gradient, and judged by the same rule. Adaptive optimizers divide
by the size of a gradient, so they turn this noise into whole steps: for such a tensor, and for
that step, the framework's optimizer is given pock's gradient, which verifies the update as
strictly as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.session import Session
from pock_ir.diagnostics import PockError
from pock_ir.types import Array

if TYPE_CHECKING:
    from pock.compiler import Job

TOLERANCE = 1e-5
"""The largest relative error in norm of an f32 tensor that needs no further argument."""

VANISHING = 1e-10
"""A gradient this much smaller than the largest one is zero but for float64's rounding."""


@dataclass(frozen=True)
class Row:
    """One compared tensor.

    step: from 1; kind: "loss", "gradient" or "updated"; error: relative to the framework in f32;
    own, framework: errors of pock and of the framework relative to float64. vanishing: whether
    the gradient is exactly zero, and its errors therefore relative to the largest gradient.
    """

    step: int
    kind: str
    name: str
    error: float
    own: float
    framework: float
    vanishing: bool = False

    @property
    def agrees(self) -> bool:
        return self.error <= TOLERANCE or self.own <= self.framework


@dataclass(frozen=True)
class Verification:
    """All compared tensors, in the order in which they were computed."""

    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every tensor agrees. A verification without tensors did not pass."""
        return bool(self.rows) and all(row.agrees for row in self.rows)

    def worst(self, kind: str | None = None) -> Row:
        """The tensor with the largest error, of all or of one kind.

        Raises ValueError if there is no tensor of that kind.
        """
        chosen = [row for row in self.rows if kind in (None, row.kind)]
        return max(chosen, key=lambda row: row.error)

    def differing(self) -> tuple[Row, ...]:
        """The tensors that do not agree."""
        return tuple(row for row in self.rows if not row.agrees)

    def to_json(self) -> dict[str, Any]:
        rows = [{**asdict(row), "agrees": row.agrees} for row in self.rows]
        return {"passed": self.passed, "tolerance": TOLERANCE, "rows": rows}


@dataclass(frozen=True)
class TrainingStep:
    """What one step of training computed.

    gradients: by parameter name, in the framework's layout, of the trained part only; updated:
    every tensor that training changes but the optimizer's own, after the step.
    """

    loss: float
    gradients: Mapping[str, Array]
    updated: Mapping[str, Array]


Triple = tuple[TrainingStep, TrainingStep, TrainingStep]
"""One step as pock, the framework in f32, and the framework in float64 compute it."""


def relative_error(value: Array, reference: Array, scale: float | None = None) -> float:
    """|value - reference| / scale in the Euclidean norm; not finite if either is not.

    scale: by default |reference|, or 1 if that is zero.
    """
    exact = np.asarray(reference, np.float64)
    difference = float(np.linalg.norm((np.asarray(value, np.float64) - exact).ravel()))
    size = float(np.linalg.norm(exact.ravel())) if scale is None else scale
    return difference / size if size else difference


def vanishing_gradients(exact: Mapping[str, Array]) -> frozenset[str]:
    """The names of the float64 gradients that are zero but for rounding."""
    limit = VANISHING * _largest(exact)
    return frozenset(name for name, value in exact.items() if np.linalg.norm(value) <= limit)


def _largest(gradients: Mapping[str, Array]) -> float:
    return max((float(np.linalg.norm(value)) for value in gradients.values()), default=0.0)


def compare(steps: Iterable[Triple]) -> Verification:
    """Compare a compiled run with the framework's, in f32 and in float64.

    Raises PockError if one of them lacks a tensor that another has.
    """
    rows: list[Row] = []
    for index, runs in enumerate(steps):
        scales = dict.fromkeys(
            vanishing_gradients(runs[2].gradients), _largest(runs[2].gradients)
        )
        losses = [{"loss": np.asarray(run.loss)} for run in runs]
        rows += _rows(index, "loss", losses, {})
        rows += _rows(index, "gradient", [run.gradients for run in runs], scales)
        rows += _rows(index, "updated", [run.updated for run in runs], {})
    return Verification(tuple(rows))


def _rows(
    step: int, kind: str, runs: Sequence[Mapping[str, Array]], scales: Mapping[str, float]
) -> list[Row]:
    ours, theirs, exact = runs
    if not set(ours) == set(theirs) == set(exact):
        names = ", ".join(sorted((set(ours) ^ set(theirs)) | (set(ours) ^ set(exact))))
        raise PockError(f"only one side computes the {kind} of: {names}")
    rows: list[Row] = []
    for name in sorted(ours):
        scale = scales.get(name)
        errors = (
            relative_error(ours[name], theirs[name], scale),
            relative_error(ours[name], exact[name], scale),
            relative_error(theirs[name], exact[name], scale),
        )
        rows.append(Row(step + 1, kind, name, *errors, vanishing=scale is not None))
    return rows


def compiled_step(session: Session, arrays: Mapping[str, Array]) -> TrainingStep:
    """One step of a program that was compiled to return its gradients.

    arrays: every input and target by name.
    """
    stored = {item.name: item for item in session.layout.region("state")}
    results = session.run("train_step", session.ordered("train_step", arrays))
    if results.loss is None:
        raise PockError("the training step has no loss")
    gradients = {n: _unpermuted(a, stored[n].permute) for n, a in results.arrays.items()}
    changing = {name for name, item in stored.items() if item.kind != "state"}
    updated = {name: a for name, a in session.arrays().items() if name in changing}
    return TrainingStep(results.loss, gradients, updated)


def _unpermuted(array: Array, permute: Sequence[int]) -> Array:
    return np.ascontiguousarray(np.transpose(array, np.argsort(permute)))


def verify_program(job: Job, steps: int) -> Verification:
    """Compile `job` once more, with its gradients as results, and compare it with its framework.

    Every step has a batch of its own. Raises PockError if `steps` is not positive, the framework
    is missing or the model is one that it cannot train.
    """
    if steps < 1:
        raise PockError("verify needs at least one step")
    from pock.frontends.torch.verify import torch_trajectories

    return compare(torch_trajectories(job, steps))
