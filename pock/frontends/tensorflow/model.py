"""What the importer takes: a function with variables, whatever it is wrapped in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from pock.frontends.common.signature import BUFFER, PARAMETER
from pock_ir.diagnostics import Diagnostic, PockError, quote

MODES = ("training", "is_training")
"""Arguments that tell a model whether it is trained."""

HELP_BUILD = "call the model once on an example before compiling it"


@dataclass(frozen=True)
class Variable:
    """A variable that the model may use.

    value: the tf.Variable. trainable: whether gradients are taken for it; is_frozen: a parameter
    that the user has said is not to be trained.
    """

    name: str
    value: Any
    trainable: bool
    is_frozen: bool = False

    @property
    def kind(self) -> str:
        is_float = self.value.dtype.is_floating
        return PARAMETER if is_float and (self.trainable or self.is_frozen) else BUFFER


@dataclass(frozen=True)
class Model:
    """A function of inputs, which may read and assign variables.

    call: (inputs, training) -> outputs. extra: losses that the last call added by itself.
    variables: those that have names; a tf.Variable that is found in the graph beside them goes by
    its own. has_modes: whether `call` heeds `training`.
    """

    call: Callable[[Any, bool], Any]
    extra: Callable[[], list[Any]]
    variables: tuple[Variable, ...]
    arguments: tuple[str, ...]
    has_modes: bool

    def input_names(self, count: int) -> list[str]:
        """Names for `count` positional inputs."""
        names = self.arguments
        return [names[i] if i < len(names) else f"input_{i}" for i in range(count)]


def model_of(value: Any) -> Model:
    """The model that a user's object is. Raises PockError if it is none, or not built."""
    origins = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]
    if any(o.startswith("keras.") and o.endswith(".Layer") for o in origins):
        return _keras_model(value)
    if isinstance(value, tf.Module):
        return _module(value)
    if callable(value):
        return _function(value)
    raise PockError(
        Diagnostic(
            f"{quote(type(value).__name__)} is no TensorFlow model",
            help="give a keras.Model, a tf.Module, a tf.function or a ConcreteFunction",
        )
    )


def _keras_model(model: Any) -> Model:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise PockError(
            Diagnostic(
                f"Keras runs on {quote(keras.backend.backend())} here, not on TensorFlow",
                help="set KERAS_BACKEND=tensorflow before Keras is imported",
            )
        )
    if not model.built:
        raise PockError(Diagnostic(f"{quote(model.name)} is not built", help=HELP_BUILD))
    policy = model.dtype_policy
    if policy.compute_dtype != policy.variable_dtype:
        raise PockError(f"the dtype policy {quote(policy.name)} is not supported")

    def call(inputs: Any, training: bool) -> Any:
        args, keywords = _split(inputs)
        return model(*args, training=training, **keywords)

    return Model(
        call, lambda: list(model.losses), _keras_variables(model), _keras_names(model), True
    )


def _keras_names(model: Any) -> tuple[str, ...]:
    return tuple(n for n in _parameters(model.call) if n not in ("mask", *MODES))


def _keras_variables(model: Any) -> tuple[Variable, ...]:
    """The variables by path; a layer keeps those that it was made to train in a list of its own."""
    made_to_train = {
        id(variable) for layer in model._flatten_layers() for variable in layer._trainable_variables
    }
    return tuple(
        Variable(v.path, v.value, v.trainable, id(v) in made_to_train and not v.trainable)
        for v in model.variables
    )


def _module(module: Any) -> Model:
    """A tf.Module; variables go by the attributes that lead to them, as in its checkpoints."""
    if not hasattr(module, "__call__"):  # noqa: B004 - callable() hides the class from pyright
        what = quote(type(module).__name__)
        raise PockError(Diagnostic(f"the tf.Module {what} has no __call__", help="give it one"))
    found: dict[int, Variable] = {}

    def is_variable(value: Any) -> bool:
        return isinstance(value, tf.Variable)

    for path, variable in module._flatten(predicate=is_variable, with_path=True):
        name = "/".join(map(str, path))
        found.setdefault(id(variable), Variable(name, variable, variable.trainable))
    return _calling(module, type(module).__call__, tuple(found.values()))


def _function(function: Any) -> Model:
    """A tf.function, a ConcreteFunction or a plain function; variables go by their own names."""
    return _calling(function, function, ())


def _calling(model: Any, signed: Any, variables: tuple[Variable, ...]) -> Model:
    names = _parameters(getattr(signed, "python_function", signed))
    names = names[1:] if names[:1] == ("self",) else names
    modes = [name for name in MODES if name in names]

    def call(inputs: Any, training: bool) -> Any:
        args, keywords = _split(inputs)
        return model(*args, **keywords, **dict.fromkeys(modes, training))

    inputs = tuple(name for name in names if name not in MODES)
    return Model(call, list, variables, inputs, bool(modes))


def _split(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return ((), dict(inputs)) if isinstance(inputs, Mapping) else (tuple(inputs), {})


def _parameters(function: Any) -> tuple[str, ...]:
    """The named parameters of a function; none if it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind not in hidden)
