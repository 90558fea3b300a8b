"""Comparing a compiled program with the framework that its model came from, tensor by tensor.

Both train for a few steps from the same weights on the same batches, in f32, and so does the
framework in float64, which says what is exact. A tensor agrees if its relative error, in the
Euclidean norm, is at most `TOLERANCE`, or if pock's error against float64 is no larger than the
framework's own.

Some gradients are zero whatever the data: of a bias before a batch norm, or of the bias of
attention keys. What either side computes is then rounding error alone, and no relative error means
anything. A gradient counts as such if its float64 norm is below `VANISHING` times that of the
largest gradient of the step (float64 rounding, nothing else, gives that). Its errors are then
stated relative to that largest gradient, and judged by the same rule. So are buffers, relative to
the largest buffer: the mean of what a convolution makes of normalised numbers is zero. Adaptive
optimizers divide by the size of a gradient, so they turn this noise into whole steps: for such a
tensor, and for that step, the framework's optimizer is given pock's gradient, which verifies the
update as strictly as any other.

Some models amplify rounding: batch norm over few samples, and ReLUs near their corner. There the
framework's own error is a matter of luck, and one run of it says little: it is a draw from a
distribution, as pock's is. If a tensor does not agree by the rule above, the framework trains
`NOISE_RUNS` times more, each time with every weight and input moved to a neighbouring f32 at
random. Their root mean square error is what the framework's f32 is worth for that tensor, and
pock's error may be at most `DEVIATIONS` times that: by Student's distribution a correct program of
the same precision exceeds it once in 300 times, and a wrong one is not within rounding of the
truth. The rows that needed this are counted (`Verification.amplified`), never hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.session import Session
from pock_ir.diagnostics import PockError
from pock_ir.types import Array

if TYPE_CHECKING:
    from pock.compiler import Job

TOLERANCE = 1e-5
"""The largest relative error in norm of an f32 tensor that needs no further argument."""

NOISE_RUNS = 16
"""How often the framework repeats a training to learn how far its own rounding carries."""

DEVIATIONS = 3.5
"""The most root mean square errors of the framework that pock's error may be."""

VANISHING = 1e-10
"""A tensor this much smaller than the largest one is zero but for float64's rounding."""


@dataclass(frozen=True)
class Row:
    """One compared tensor.

    step: from 1; kind: "loss", "gradient" or "updated"; error: relative to the framework in f32;
    own, framework: errors of pock and of the framework relative to float64. vanishing: whether
    the tensor is exactly zero, and its errors therefore relative to the largest of its kind.
    noise: the root mean square error of repeated runs of the framework; None if not needed.
    """

    step: int
    kind: str
    name: str
    error: float
    own: float
    framework: float
    vanishing: bool = False
    noise: float | None = None

    @property
    def is_close(self) -> bool:
        """Within the tolerance, or closer to float64 than the framework."""
        return self.error <= TOLERANCE or self.own <= self.framework

    @property
    def agrees(self) -> bool:
        return self.is_close or (self.noise is not None and self.own <= DEVIATIONS * self.noise)


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

    def amplified(self) -> tuple[Row, ...]:
        """The tensors that agree only up to rounding that the model amplifies."""
        return tuple(row for row in self.rows if row.agrees and not row.is_close)

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

    def buffers(self) -> dict[str, Array]:
        """The float tensors of `updated` that have no gradient: statistics."""
        rest = self.updated.keys() - self.gradients.keys()
        return {
            name: self.updated[name]
            for name in sorted(rest)
            if self.updated[name].dtype.kind == "f"
        }


Triple = tuple[TrainingStep, TrainingStep, TrainingStep]
"""One step as pock, the framework in f32, and the framework in float64 compute it."""


def relative_error(value: Array, reference: Array, scale: float | None = None) -> float:
    """|value - reference| / scale in the Euclidean norm; not finite if either is not.

    scale: by default |reference|, or 1 if that is zero.
    """
    exact = np.asarray(reference, np.float64)
    difference = _norm(np.asarray(value, np.float64) - exact)
    size = _norm(exact) if scale is None else scale
    return difference / size if size else difference


def vanishing(exact: Mapping[str, Array]) -> frozenset[str]:
    """The names of the float64 tensors that are zero but for rounding."""
    limit = VANISHING * _largest(exact)
    return frozenset(name for name, value in exact.items() if _norm(value) <= limit)


def _largest(tensors: Mapping[str, Array]) -> float:
    return max(map(_norm, tensors.values()), default=0.0)


def _norm(value: Array) -> float:
    return float(np.linalg.norm(np.asarray(value, np.float64).ravel()))


Key = tuple[int, str, str]
"""What tells rows apart: step (from 1), kind and name."""


def compare(steps: Iterable[Triple]) -> Verification:
    """Compare a compiled run with the framework's, in f32 and in float64.

    Raises PockError if one of them lacks a tensor that another has.
    """
    rows: list[Row] = []
    for step, (ours, theirs, exact) in enumerate(steps, 1):
        own, framework, error = (
            step_errors(ours, exact, exact),
            step_errors(theirs, exact, exact),
            step_errors(ours, theirs, exact),
        )
        zero = {("gradient", name) for name in vanishing(exact.gradients)}
        zero |= {("updated", name) for name in vanishing(exact.buffers())}
        for key in error:
            rows.append(Row(step, *key, error[key], own[key], framework[key], key in zero))
    return Verification(tuple(rows))


def step_errors(
    value: TrainingStep, reference: TrainingStep, exact: TrainingStep
) -> dict[tuple[str, str], float]:
    """The relative error of every tensor of a step, by kind and name.

    exact: tells which tensors vanish. Raises PockError if one step lacks a tensor.
    """
    errors = {("loss", "loss"): relative_error(np.asarray(value.loss), np.asarray(reference.loss))}
    kinds = (
        ("gradient", value.gradients, reference.gradients, exact.gradients),
        ("updated", value.updated, reference.updated, exact.buffers()),
    )
    for kind, ours, theirs, judged in kinds:
        scales = dict.fromkeys(vanishing(judged), _largest(judged))
        for name in _common(ours, theirs, kind):
            errors[kind, name] = relative_error(ours[name], theirs[name], scales.get(name))
    return errors


def _common(ours: Mapping[str, Array], theirs: Mapping[str, Array], what: str) -> list[str]:
    if set(ours) != set(theirs):
        names = ", ".join(sorted(set(ours) ^ set(theirs)))
        raise PockError(f"only one side has these tensors of kind {what}: {names}")
    return sorted(ours)


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
    from pock.frontends.torch.verify import TorchReference

    reference = TorchReference(job)
    found = compare(reference.train(steps))
    if all(row.is_close for row in found.rows):
        return found
    noise = reference.noise(steps, NOISE_RUNS)
    rows = (
        row if row.is_close else replace(row, noise=noise[row.step, row.kind, row.name])
        for row in found.rows
    )
    return Verification(tuple(rows))
