"""Rows of the table of differences, and what is checked of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import pytest
from framework_models import ZERO, KerasModel
from framework_results import FRAMEWORKS, Framework, Results
from imported_runs import assert_close, function_named, gradients_of, run_imported
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, StringAttr, i1
from xdsl.ir import Attribute, Operation

import pock
from pock.frontends import import_model
from pock.frontends.imported import Imported
from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.types import dtype_of

Shown = Mapping[str, Mapping[str, object]]
"""Op name -> properties that one such op has; "element" is the type of its first result."""


@dataclass(frozen=True, eq=False)
class Spelling:
    """The model of a row as one framework writes it.

    build: makes the model. inputs: of the model. shows: what the IR says, in `function`.
    hides: ops that must not be there. common: outputs in the layout of all spellings.
    tolerance: of outputs and gradients, relative to the largest element (or 1).
    exact: the outputs, where the framework's own are worse than pock's. has_gradients: whether
        pock's are the framework's.
    refused: what pock says of a model that it does not take. fails: what the framework says that
        does not take it itself; pock's refusal repeats it.
    """

    build: Callable[[], Any]
    inputs: Sequence[np.ndarray] = ()
    shows: Shown = field(default_factory=dict)
    hides: Sequence[str] = ()
    function: str = "infer"
    common: Callable[[np.ndarray], np.ndarray] = np.asarray
    tolerance: float = 2e-6
    exact: np.ndarray | None = None
    has_gradients: bool = True
    refused: str = ""
    fails: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """One topic, and its spellings by framework ("torch") or framework and variant ("jax.take").

    groups: which spellings mean the same. Within a group the frameworks' own results agree, and
        those of two groups differ; a spelling in none is compared with no other.
    observed: the results that show it.
    """

    topic: str
    spellings: Mapping[str, Spelling]
    groups: Sequence[Sequence[str]]
    observed: Callable[[Results], Sequence[np.ndarray]] = lambda results: (results.outputs,)
    tolerance: float = 1e-5

    def values(self, name: str) -> list[np.ndarray]:
        """The framework's own results that show the difference, in the common layout."""
        spelling = self.spellings[name]
        seen = self.observed(own_results(name, spelling))
        return [np.asarray(spelling.common(value), np.float64) for value in seen]

    def check(self, name: str) -> None:
        """pock's results of one spelling, and its IR."""
        check_spelling(name, self.spellings[name])


def framework_of(name: str) -> Framework:
    return FRAMEWORKS[name.split(".")[0]]


@cache
def built(spelling: Spelling) -> tuple[Any, tuple[np.ndarray, ...]]:
    model = spelling.build()
    inputs = tuple(spelling.inputs)
    return model, (inputs or (ZERO,)) if isinstance(model, KerasModel) else inputs


@cache
def own_results(name: str, spelling: Spelling) -> Results:
    """What the framework computes."""
    return framework_of(name).results(*built(spelling))


def imported(name: str, spelling: Spelling) -> tuple[Imported, dict[str, np.ndarray]]:
    """The model as IR after raising, and its example inputs and targets by name."""
    framework, (model, inputs) = framework_of(name), built(spelling)
    weights = np.zeros((), np.float32) if spelling.fails else own_results(name, spelling).weights
    given = tuple(map(framework.array, inputs))
    job = pock.Job(model, given, framework.array(weights), framework.loss)
    found = import_model(job)
    for action in (CanonicalizePass(), SimplifyPass(), RaiseOpsPass(fast_variance=True)):
        action.apply(make_context(), found.module)
    names = (*found.inputs, *found.targets)
    return found, dict(zip(names, (*inputs, weights), strict=True))


@cache
def check_spelling(name: str, spelling: Spelling) -> None:
    """pock's results are the framework's, and the IR says what they depend on.

    Rows may share spellings, which are checked once.
    """
    if spelling.fails:
        with pytest.raises(Exception, match=spelling.fails):
            own_results(name, spelling)
    if spelling.fails or spelling.refused:
        with pytest.raises(PockError, match=spelling.fails or spelling.refused):
            imported(name, spelling)
        return
    module, given = imported(name, spelling)
    check_numbers(module, given, own_results(name, spelling), spelling)
    ops = list(function_named(module, spelling.function).body.block.ops)
    check_shown(ops, spelling.shows)
    assert not set(spelling.hides) & set(_names(ops)), _names(ops)


def check_shown(ops: Sequence[Operation], shows: Shown) -> None:
    """Each op that should be there is, with its properties."""
    for op, properties in shows.items():
        said = [_said(other) for other in ops if other.name == op]
        assert any(_fits(one, properties) for one in said), (op, properties, said, _names(ops))


def check_numbers(
    module: Imported, given: Mapping[str, np.ndarray], own: Results, spelling: Spelling
) -> None:
    """Outputs with their types, new state and gradients."""
    (outputs,) = run_imported(module, "infer", given).values()
    assert outputs.dtype == own.outputs.dtype
    assert_close(
        outputs, own.outputs if spelling.exact is None else spelling.exact, spelling.tolerance
    )
    for (kind, key), value in run_imported(module, "train", given).items():
        if kind == "update":
            assert_close(value, own.state[key], spelling.tolerance)
    found = gradients_of(module, given) if spelling.has_gradients else {}
    for key, gradient in own.gradients.items() if spelling.has_gradients else ():
        assert_close(found.get(key, np.zeros_like(gradient)), gradient, spelling.tolerance)


def _names(ops: Sequence[Operation]) -> list[str]:
    return [op.name for op in ops]


def _said(op: Operation) -> dict[str, object]:
    found = {name: _plain(value) for name, value in op.properties.items()}
    return {**found, "element": dtype_of(op.results[0]).name} if op.results else found


def _plain(attribute: Attribute) -> object:
    match attribute:
        case StringAttr():
            return attribute.data
        case IntegerAttr():
            return attribute.value.data if attribute.type != i1 else bool(attribute.value.data)
        case FloatAttr():
            return attribute.value.data
        case DenseArrayBase():
            return tuple(attribute.get_values())
        case _:
            return str(attribute)


def _fits(said: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(_same(said.get(name), value) for name, value in wanted.items())


def _same(value: object, wanted: object) -> bool:
    if isinstance(wanted, float) and isinstance(value, float):
        return bool(np.isclose(value, wanted, rtol=1e-6, atol=0.0, equal_nan=True))
    return value == wanted


class Compared(Protocol):
    """What `check_groups` reads of a row."""

    @property
    def groups(self) -> Sequence[Sequence[str]]: ...
    @property
    def tolerance(self) -> float: ...
    def values(self, name: str) -> list[np.ndarray]: ...


def check_groups(row: Compared) -> None:
    """Frameworks agree with one another where the row says so, and differ elsewhere."""
    members = [(name, number) for number, group in enumerate(row.groups) for name in group]
    for (first, a), (second, b) in combinations(members, 2):
        assert (a == b) == _agree(row, first, second), (first, second)


def _agree(row: Compared, first: str, second: str) -> bool:
    one, other = row.values(first), row.values(second)
    if [value.shape for value in one] != [value.shape for value in other]:
        return False
    return all(
        np.allclose(a, b, rtol=row.tolerance, atol=row.tolerance, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )
