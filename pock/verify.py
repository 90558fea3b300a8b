"""Comparing a compiled program with the framework that its model came from, tensor by tensor.

Both train for a few steps from the same weights on the same batches, in f32, and so does the
framework in float64, which says what is exact. Errors are relative, in the Euclidean norm. A tensor
agrees by the first of these rules that settles it:

1. its error relative to the framework is at most `TOLERANCE`;
2. its error relative to float64 is at most `TOLERANCE`, and no larger than the framework's own;
3. over repeated runs, its errors relative to float64 are no larger than the framework's own.

Rule 3 is for models that amplify rounding, as batch norm over few samples and ReLUs near their
corner do. Beyond the tolerance the error of one run is a matter of luck, on either side, so no
single run is taken for evidence. Everything is trained `RUNS` times more, each time from weights
and on batches whose every number is moved to a neighbouring f32 at random. Pock, the framework and
float64 start from the same numbers, so that the move is no error of anyone. What is compared are
the two samples of errors, by two tests of ranks (see `pock.ranks`): is pock's sample larger as
a whole (Mann and Whitney's U), or is it all above most of the framework's? A tensor differs if
either would happen to samples of one distribution with a probability below `SIGNIFICANCE`. If none
differs but one is below `DOUBT`, `MORE_RUNS` runs are added before it is judged. Errors below the
tolerance need no argument and count as the tolerance. They must be finite.

There is no bound on the size of pock's errors beside the framework's. Such samples are mixtures,
mostly 1e-6 and 1e-2 where the rounding of a number opened another gate of a ReLU, so that ratios of
their means, and of single values, are luck: a bound that a correct program always keeps would be so
wide that it finds nothing. A wrong program errs in every run. That leaves few or none of its errors
among the framework's smallest, and this is what ranks show, whatever else is in the samples. What
cannot be shown is an error that is smaller than what rounding does to the framework in most runs;
`Repeated.medians` tell how much that is.

Adaptive optimizers divide by the size of a gradient. Where a gradient is zero whatever the data
(see `pock.deviation`), they turn rounding errors into whole steps: for such a tensor, and for that
step, the framework's optimizer is given pock's gradient, which verifies the update as strictly as
any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import exp, isfinite, log
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pock.deviation import Errors, Key
from pock.ranks import exceedance, floor_probability, mann_whitney
from pock_ir.diagnostics import PockError

if TYPE_CHECKING:
    from pock.compiler import Job

TOLERANCE = 1e-5
"""The largest relative error in norm of an f32 tensor that needs no further argument."""

RUNS = 16
"""How often a training is repeated if some tensor is beyond the tolerance."""

MORE_RUNS = 32
"""How many runs are added if some tensor is in doubt."""

SIGNIFICANCE = 1e-5
"""A tensor differs if chance explains its repeated errors with a probability below this.

Tensors of one training share their luck, so that a thousand of them are worth some dozens of
independent ones: a correct program is rejected about once in a thousand verifications.
"""

DOUBT = 2e-3
"""Below this probability there are more runs before a tensor is judged."""

RESOLUTION = float(np.finfo(np.float64).eps)
"""Errors below this are float64's."""


@dataclass(frozen=True)
class Repeated:
    """Errors of one tensor over repeated runs, relative to float64: pock's, the framework's."""

    own: tuple[float, ...]
    framework: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        return float(np.median(self.own)), float(np.median(self.framework))

    @property
    def ratio(self) -> float:
        """Pock's median over the framework's."""
        own, framework = (max(median, RESOLUTION) for median in self.medians)
        return own / framework

    @cached_property
    def exceedance(self) -> float:
        """The probability that pock's error exceeds the framework's; ties count half."""
        return exceedance(self.own, self.framework)

    @cached_property
    def chance(self) -> float:
        """How likely errors that are no larger look so much larger, by either test."""
        if not all(map(isfinite, self.own)):
            return 0.0
        samples = self._judged()
        return min(mann_whitney(*samples), floor_probability(*samples))

    @property
    def agrees(self) -> bool:
        return self.chance >= SIGNIFICANCE

    def _judged(self) -> tuple[Any, Any]:
        """Pock's errors and the framework's, those that need no argument as the tolerance."""
        return np.maximum(self.own, TOLERANCE), np.maximum(self.framework, TOLERANCE)

    def to_json(self) -> dict[str, Any]:
        own, framework = self.medians
        return {
            "runs": len(self.own),
            "own_median": own,
            "framework_median": framework,
            "ratio": self.ratio,
            "exceedance": self.exceedance,
            "chance": self.chance,
        }


@dataclass(frozen=True)
class Row:
    """One compared tensor.

    step: from 1; kind: "loss", "gradient" or "updated"; error: relative to the framework in f32;
    own, framework: errors of pock and of the framework relative to float64. vanishing: whether
    the tensor is exactly zero, and its errors therefore relative to the largest of its kind.
    repeated: the errors of repeated runs; None if they are not needed.
    """

    step: int
    kind: str
    name: str
    error: float
    own: float
    framework: float
    vanishing: bool = False
    repeated: Repeated | None = None

    @property
    def is_close(self) -> bool:
        """Within the tolerance of the framework; or of float64, and closer than the framework."""
        return self.error <= TOLERANCE or self.own <= min(self.framework, TOLERANCE)

    @property
    def agrees(self) -> bool:
        return self.is_close or (self.repeated is not None and self.repeated.agrees)

    def to_json(self) -> dict[str, Any]:
        repeated = None if self.repeated is None else self.repeated.to_json()
        return {**asdict(self), "agrees": self.agrees, "repeated": repeated}


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

    def repeated(self) -> tuple[Row, ...]:
        """The tensors that were judged by repeated runs, whether they agree or not."""
        return tuple(row for row in self.rows if row.repeated is not None)

    @property
    def ratio(self) -> float | None:
        """The geometric mean, over these tensors, of pock's median error by the framework's."""
        ratios = [row.repeated.ratio for row in self.rows if row.repeated is not None]
        return exp(sum(map(log, ratios)) / len(ratios)) if ratios else None

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "tolerance": TOLERANCE,
            "significance": SIGNIFICANCE,
            "repeated": len(self.repeated()),
            "ratio": self.ratio,
            "rows": [row.to_json() for row in self.rows],
        }


def verify_program(job: Job, steps: int) -> Verification:
    """Compile `job` once more, with its gradients as results, and compare it with its framework.

    Every step has a batch of its own. Raises PockError if `steps` is not positive, the framework
    is missing or the model is one that it cannot train.
    """
    if steps < 1:
        raise PockError("verify needs at least one step")
    from pock.lockstep import Lockstep

    return verify_trainings(Lockstep(job), steps)


class Trainings(Protocol):
    """What can be trained and compared again and again: see `pock.lockstep.Lockstep`."""

    def run(self, steps: int, seed: int | None = None) -> Iterator[tuple[Key, Errors]]: ...


def verify_trainings(trainings: Trainings, steps: int) -> Verification:
    """Compare what `trainings` yields, and repeat it if some tensor is beyond the tolerance."""
    rows = {key: _row(key, errors) for key, errors in trainings.run(steps)}
    open_keys = [key for key, row in rows.items() if not row.is_close]
    samples = _Samples(trainings, steps, open_keys)
    if open_keys:
        samples.add(RUNS)
    if SIGNIFICANCE <= min((found.chance for _, found in samples.results()), default=1.0) < DOUBT:
        samples.add(MORE_RUNS)
    rows |= {key: replace(rows[key], repeated=found) for key, found in samples.results()}
    return Verification(tuple(rows.values()))


def _row(key: Key, errors: Errors) -> Row:
    return Row(*key, errors.error, errors.own, errors.framework, errors.vanishing)


class _Samples:
    """Errors of the tensors `keys` over repeated runs."""

    def __init__(self, trainings: Trainings, steps: int, keys: list[Key]) -> None:
        self._trainings = trainings
        self._steps = steps
        self._errors: dict[Key, list[Errors]] = {key: [] for key in keys}
        self._runs = 0

    def add(self, runs: int) -> None:
        """Train `runs` times more."""
        for seed in range(self._runs, self._runs + runs):
            for key, errors in self._trainings.run(self._steps, seed):
                if key in self._errors:
                    self._errors[key].append(errors)
        self._runs += runs

    def results(self) -> Iterator[tuple[Key, Repeated]]:
        for key, found in self._errors.items():
            own = tuple(errors.own for errors in found)
            yield key, Repeated(own, tuple(errors.framework for errors in found))
