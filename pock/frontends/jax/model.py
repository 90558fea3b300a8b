"""What the importer takes: a pure function with its arrays, whatever library it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import jax
import jax.numpy as jnp

from pock.frontends.jax.markers import replaced
from pock_ir.diagnostics import Diagnostic, PockError, quote

MODES: Mapping[str, tuple[bool, bool]] = {
    "train": (True, False),
    "training": (True, False),
    "is_training": (True, False),
    "deterministic": (False, True),
    "use_running_average": (False, True),
}
"""Arguments that choose a model's mode -> their values in training and in inference."""


@dataclass(frozen=True)
class Model:
    """A JAX model: a pure function and its arrays.

    apply: called as apply(params, *inputs, **keywords) and returns outputs, or, with `state`, as
        apply(params, state, *inputs, **keywords) and returns (outputs, new state). Inputs that are
        given as a mapping come as keywords.
    params: a pytree of what is trained; names are its paths, "Dense_0/kernel". Leaves that are no
        floats are kept as they are.
    state: a pytree of what training changes without gradients, such as running statistics; what
        `apply` returns in training replaces it.
    training, inference: keywords of `apply` in each mode, such as {"train": True}.
    key: the keyword of `apply` that takes a random key in training; None if it takes none.

    Haiku's `transform` gives such a function: `Model(lambda p, x, rng=None: f.apply(p, rng, x), p,
    key="rng")`; so does any other library whose models are functions of their parameters.
    """

    apply: Callable[..., Any]
    params: Any
    state: Any = None
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inference: Mapping[str, Any] = field(default_factory=dict[str, Any])
    key: str | None = None
    arguments: tuple[str, ...] | None = None
    """Names of the positional inputs; by default those of the parameters of `apply`."""

    @property
    def has_modes(self) -> bool:
        """Whether training differs from inference in what `apply` is told."""
        return self.key is not None or dict(self.training) != dict(self.inference)

    def call(
        self, params: Any, state: Any, inputs: Any, training: bool, key: Any = None
    ) -> tuple[Any, Any]:
        """(outputs, new state) of one call."""
        keywords = dict(self.training if training else self.inference)
        if training and self.key is not None:
            keywords[self.key] = key
        first = (params,) if self.state is None else (params, state)
        args, named = ((), inputs) if isinstance(inputs, Mapping) else (tuple(inputs), {})
        result = self.apply(*first, *args, **named, **keywords)
        if self.state is None:
            return result, None
        if not isinstance(result, tuple) or len(result) != 2:
            raise PockError("a model with state should return (outputs, new state)")
        return result

    def input_names(self, count: int) -> list[str]:
        """Names for `count` positional inputs."""
        names = self.arguments
        if names is None:
            names = _parameters(self.apply)[1 if self.state is None else 2 :]
        names = tuple(name for name in names if name not in self.training and name != self.key)
        return [names[i] if i < len(names) else f"input_{i}" for i in range(count)]


def _parameters(function: Any) -> tuple[str, ...]:
    """The positional parameters of a function; none if it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in kinds)


def _modes(function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords of MODES that `function` takes, in training and in inference."""
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}, {}
    found = {name: values for name, values in MODES.items() if name in names}
    return {n: v[0] for n, v in found.items()}, {n: v[1] for n, v in found.items()}


def linen(
    module: Any,
    variables: Any,
    *,
    training: Mapping[str, Any] | None = None,
    inference: Mapping[str, Any] | None = None,
    rngs: tuple[str, ...] = ("dropout",),
    method: Any = None,
) -> Model:
    """A flax.linen module with its variables.

    variables: what `module.init` returns. The collection "params" is trained; every other one
    (batch_stats) is state, under its own name.
    training, inference: keywords of the call in each mode; by default those of `MODES` that
    `__call__` takes, such as train=True and train=False.
    rngs: the names under which the module asks for random keys. method: as of `Module.apply`.
    """
    import flax.linen as library

    held = dict(variables)
    if "params" not in held:
        raise PockError(
            Diagnostic("the variables have no collection 'params'", help="give what init returns")
        )
    params = held.pop("params")
    function = module.__call__ if method is None else getattr(module, str(method), method)
    known = _modes(function)
    modes = [dict(a if b is None else b) for a, b in zip(known, (training, inference), strict=True)]

    def apply(params: Any, state: Any, *args: Any, rng: Any = None, **keywords: Any) -> Any:
        keys = {} if rng is None else {n: jax.random.fold_in(rng, i) for i, n in enumerate(rngs)}
        given = {"params": params, **state}
        options: dict[str, Any] = {} if method is None else {"method": method}
        with library.intercept_methods(_with_marked_fields):
            outputs, changed = module.apply(
                given, *args, rngs=keys, mutable=list(state), **options, **keywords
            )
        return outputs, {name: changed.get(name, state[name]) for name in state}

    return Model(apply, params, held, *modes, key="rng", arguments=_parameters(function))


def _with_marked_fields(call: Any, args: Any, keywords: Any, context: Any) -> Any:
    """A method of a linen module whose fields hold the marked forms of functions meanwhile."""
    module = context.module
    held = {field.name: getattr(module, field.name, None) for field in fields(module)}
    changed = {name: replaced(value) for name, value in held.items() if callable(value)}
    changed = {name: value for name, value in changed.items() if value is not held[name]}
    try:
        # A linen module is a frozen dataclass.
        for name, value in changed.items():
            object.__setattr__(module, name, value)
        return call(*args, **keywords)
    finally:
        for name in changed:
            object.__setattr__(module, name, held[name])


def nnx(module: Any) -> Model:
    """A flax.nnx module, in the mode that it is in; inference is `module.eval()` of a copy.

    Variables of type Param are trained, all others but random states are state. The module is not
    changed.
    """
    from flax import nnx as library

    graph, params, random, rest = library.split(module, library.Param, library.RngState, ...)
    frozen = library.clone(module)
    frozen.eval()
    frozen_graph = library.split(frozen, library.Param, library.RngState, ...)[0]

    def apply(params: Any, state: Any, *args: Any, mode: str, rng: Any = None, **named: Any) -> Any:
        is_training = mode == "train"
        rngs = random if rng is None else _with_key(random, rng)
        copy = library.merge(graph if is_training else frozen_graph, params, rngs, state)
        outputs = copy(*args, **named)
        changed = library.split(copy, library.Param, library.RngState, ...)[3]
        return outputs, changed

    modes = ({"mode": "train"}, {"mode": "infer"})
    key = "rng" if jax.tree_util.tree_leaves(random) else None
    return Model(apply, params, rest, *modes, key=key, arguments=_parameters(module.__call__))


def _with_key(random: Any, key: Any) -> Any:
    """Random states whose keys all come from `key`; counts stay."""
    leaves, structure = jax.tree_util.tree_flatten(random)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    new = [
        jax.random.fold_in(key, index) if keyed else leaf
        for index, (leaf, keyed) in enumerate(zip(leaves, is_key, strict=True))
    ]
    return jax.tree_util.tree_unflatten(structure, new)


def equinox(
    module: Any, *, batched: bool = False, key: str | None = None, state: Any = None
) -> Model:
    """An Equinox module; inference is `equinox.nn.inference_mode` of it.

    batched: the module takes one sample, and is mapped over the first axis of all inputs; each
    sample then has a key of its own. key: the keyword that takes a random key, if there is one.
    """
    import equinox as library

    if state is not None:
        raise PockError("an Equinox state is not supported: give a pock.jax.Model with state")
    params, rest = library.partition(module, library.is_inexact_array)
    frozen = library.partition(library.nn.inference_mode(module), library.is_inexact_array)[1]

    def apply(params: Any, *args: Any, mode: str, rng: Any = None, **named: Any) -> Any:
        held = jax.tree_util.tree_map(replaced, rest if mode == "train" else frozen)
        whole = library.combine(params, held)
        if key is None or rng is None:
            function = whole
        else:
            function = _keyed(whole, key)
            args = (jax.random.split(rng, _samples(args, named)) if batched else rng, *args)
        return jax.vmap(function)(*args, **named) if batched else function(*args, **named)

    modes = ({"mode": "train"}, {"mode": "infer"})
    keyword = None if key is None else "rng"
    return Model(apply, params, None, *modes, key=keyword, arguments=_parameters(module.__call__))


def _keyed(function: Any, keyword: str) -> Callable[..., Any]:
    def call(rng: Any, *args: Any, **named: Any) -> Any:
        return function(*args, **named, **{keyword: rng})

    return call


def _samples(args: Any, named: Any) -> int:
    return jax.tree_util.tree_leaves((args, named))[0].shape[0]


def model_of(value: Any) -> Model:
    """The model that a user's object is.

    Raises PockError for an object that needs more (a linen module without variables) and one that
    is none.
    """
    if isinstance(value, Model):
        return value
    origins = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]
    if any(origin.startswith("flax.linen.") for origin in origins):
        raise PockError(
            Diagnostic(
                f"the flax.linen module {quote(type(value).__name__)} has no parameters of its own",
                help="give pock.jax.linen(module, variables)",
            )
        )
    if any(origin.startswith("flax.nnx.") for origin in origins):
        return nnx(value)
    if any(origin.startswith("equinox.") for origin in origins):
        return equinox(value)
    raise PockError(
        Diagnostic(
            f"{quote(type(value).__name__)} is no JAX model",
            help="give pock.jax.Model(apply, params), pock.jax.linen(module, variables), or a "
            "flax.nnx or Equinox module",
        )
    )
