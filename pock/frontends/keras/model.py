"""A keras.Model on the JAX backend as a pure function with its arrays."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
from keras.random import SeedGenerator

import pock.frontends.keras.norm  # noqa: F401  # its handlers join the table
from pock.frontends.jax.model import Model
from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote

SEED = "seed_generator_state"
"""What Keras calls the variable of a seed generator."""

NOT_INPUTS = ("mask", "training")
"""Arguments of a model's call that Keras gives by itself."""

HELP_BUILD = "call the model once on an example before compiling it"
HELP_NAMES = "give the layers different names"


@dataclass(frozen=True)
class Call:
    """What the last call of a model had and made, for its loss.

    losses: of regularizers and add_loss.
    """

    trainable: Sequence[Any]
    rest: Sequence[Any]
    losses: Sequence[Any]


class KerasModel:
    """A keras.Model and what pock needs of it.

    model: as the user has it; it is never changed. pure: its function, with parameters and state
    by the paths of variables. frozen: names of parameters that the user does not train. Raises
    PockError for a model that is not built, or computes in a narrower type than it stores.
    """

    def __init__(self, model: Any) -> None:
        _check(model)
        made_to_train = {
            id(variable)
            for layer in model._flatten_layers()
            for variable in layer._trainable_variables
        }
        held = [v for v in model.variables if v.name != SEED]
        trained = [v for v in held if id(v) in made_to_train]
        others = [v for v in held if id(v) not in made_to_train]
        self.model = model
        self.frozen = tuple(v.path for v in trained if not v.trainable)
        self._last: Call | None = None
        has_modes = bool(model._call_has_training_arg)
        modes = ({"training": True}, {"training": False}) if has_modes else ({}, {})
        names = inspect.signature(model.call).parameters
        self.pure = Model(
            self._apply,
            _by_path(trained),
            _by_path(others) or None,
            *modes,
            key="rng" if len(held) < len(model.variables) else None,
            arguments=tuple(name for name in names if name not in NOT_INPUTS),
        )

    def last_call(self) -> Call:
        """The call that was traced last; its arrays live as long as that trace does."""
        assert self._last is not None
        last, self._last = self._last, None
        return last

    def _apply(self, params: Any, *given: Any, rng: Any = None, **named: Any) -> Any:
        """outputs, or (outputs, new state) of a model with state."""
        has_state = self.pure.state is not None
        state, args = (given[0], given[1:]) if has_state else ({}, given)
        values = {**params, **state}
        model = self.model
        trainable, rest = (
            [values.get(v.path, v.value) for v in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        with _drawing_from(rng):
            outputs, changed, losses = model.stateless_call(
                trainable, rest, *args, return_losses=True, **named
            )
        self._last = Call(trainable, changed, losses)
        if not has_state:
            return outputs
        new = {v.path: x for v, x in zip(model.non_trainable_variables, changed, strict=True)}
        return outputs, OrderedDict((name, new[name]) for name in state)


def _check(model: Any) -> None:
    problems = DiagnosticCollector()
    if not model.built:
        raise PockError(Diagnostic(f"{quote(model.name)} is not built", help=HELP_BUILD))
    for layer in model._flatten_layers():
        policy = layer.dtype_policy
        if policy.compute_dtype != policy.variable_dtype:
            message = f"layer {quote(layer.name)}: the dtype policy {quote(policy.name)}"
            problems.add(f"{message} is not supported", help="use float32")
    seen: set[str] = set()
    for variable in model.variables:
        if variable.path in seen and variable.name != SEED:
            problems.add(f"two variables are called {quote(variable.path)}", help=HELP_NAMES)
        seen.add(variable.path)
    problems.raise_if_any()


def _by_path(variables: Sequence[Any]) -> OrderedDict[str, Any]:
    """Values by name; JAX keeps the order of an OrderedDict, and sorts a dict."""
    return OrderedDict((variable.path, variable.value) for variable in variables)


@contextmanager
def _drawing_from(key: Any) -> Iterator[None]:
    """Every seed generator gives keys made of `key` meanwhile; None: they are as they were."""
    if key is None:
        yield
        return
    original, count = SeedGenerator.next, [0]

    def drawn(self: Any, ordered: bool = True) -> Any:
        count[0] += 1
        return jax.random.key_data(jax.random.fold_in(key, count[0]))

    SeedGenerator.next = drawn
    try:
        yield
    finally:
        SeedGenerator.next = original
