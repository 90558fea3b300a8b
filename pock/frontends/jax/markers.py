"""Named calls: functions that jax would take apart, kept whole while a model is traced.

While `Markers.active`, the functions of `MARKED` are wrapped so that a call of one becomes a call
of a jitted function with a name of ours. Importing meets that name and may take the call whole.

A name proves nothing: differentiation and `vmap` inside of a model make new calls under the old
name. So a call is taken whole only if its body is, equation for equation, what the function gives
on the operands of the call. Otherwise the body is imported, which is always right.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from pock.frontends.jax.random import replacing

PREFIX = "pock."

Function = Callable[..., Any]


@dataclass(frozen=True)
class Marked:
    """One function that is kept whole: where it lies, the kind of call, and its pure form.

    pure: given the function, one with the same arguments that can be jitted; None: itself.
    """

    module: str
    name: str
    kind: str
    pure: Callable[[Function], Callable[[Function], Function]] | None = None


@dataclass(frozen=True)
class Mark:
    """What a name stands for: a kind, arguments that are no arrays, and names of the others."""

    kind: str
    names: tuple[str, ...]
    statics: Mapping[str, Any]
    body: Function


class _GivenParameters:
    """Stands in for a linen module where only its parameters are asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def param(self, name: str, *_: Any) -> Any:
        return self._values[name]


def linen_normalize(original: Function) -> Callable[[Function], Function]:
    """flax.linen's normalization with its parameters as arguments, like flax.nnx's."""

    def pure(
        x: Any, mean: Any, var: Any, scale: Any, bias: Any, reduction_axes: Any,
        feature_axes: Any, dtype: Any, epsilon: float, param_dtype: Any, rest: Any,
    ) -> Any:  # fmt: skip
        module = _GivenParameters({"scale": scale, "bias": bias})
        used = (bias is not None, scale is not None, None, None, *rest)
        return original(
            module, x, mean, var, reduction_axes, feature_axes, dtype, param_dtype, epsilon, *used
        )

    def adapt(mark: Function) -> Function:
        keep = mark(pure)

        def normalize(
            module: Any, x: Any, mean: Any, var: Any, reduction_axes: Any, feature_axes: Any,
            dtype: Any, param_dtype: Any, epsilon: float, use_bias: bool, use_scale: bool,
            bias_init: Any, scale_init: Any, *rest: Any,
        ) -> Any:  # fmt: skip
            scale = module.get_variable("params", "scale") if use_scale else None
            bias = module.get_variable("params", "bias") if use_bias else None
            if (scale is None and use_scale) or (bias is None and use_bias):
                inits = (use_bias, use_scale, bias_init, scale_init, *rest)
                where = (reduction_axes, feature_axes, dtype, param_dtype, epsilon)
                return original(module, x, mean, var, *where, *inits)
            return keep(
                x, mean, var, scale, bias, reduction_axes, feature_axes, dtype, epsilon,
                param_dtype, rest,
            )  # fmt: skip

        return normalize

    return adapt


def keras_layer_norm(original: Function) -> Callable[[Function], Function]:
    """Keras's layer normalisation with the values of its variables as arguments."""

    def adapt(mark: Function) -> Function:
        from keras.ops import convert_to_tensor

        keep = mark(original)

        def normalize(
            x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: Any = None,
            rms_scaling: bool = False,
        ) -> Any:  # fmt: skip
            given = (v if v is None else convert_to_tensor(v) for v in (gamma, beta))
            return keep(x, *given, axis, epsilon, rms_scaling)

        return normalize

    return adapt


MARKED: tuple[Marked, ...] = (
    Marked("jax.nn", "softmax", "softmax"),
    Marked("jax.nn", "log_softmax", "log_softmax"),
    Marked("jax.nn", "logsumexp", "logsumexp"),
    Marked("jax.nn", "gelu", "gelu"),
    Marked("jax.nn", "dot_product_attention", "attention"),
    Marked("flax.linen.attention", "dot_product_attention", "flax_attention"),
    Marked("flax.nnx.nn.attention", "dot_product_attention", "flax_attention"),
    Marked("flax.linen.normalization", "_compute_stats", "moments"),
    Marked("flax.nnx.nn.normalization", "_compute_stats", "moments"),
    Marked("flax.linen.normalization", "_normalize", "normalize", linen_normalize),
    Marked("flax.nnx.nn.normalization", "_normalize", "normalize"),
    Marked("keras.src.backend.jax.nn", "moments", "keras_moments"),
    Marked("keras.src.backend.jax.nn", "batch_normalization", "keras_batch_norm"),
    Marked("keras.src.ops.nn", "_layer_normalization", "keras_layer_norm", keras_layer_norm),
    Marked("pock.frontends.jax.loss", "cross_entropy", "cross_entropy"),
    Marked("optax", "softmax_cross_entropy_with_integer_labels", "cross_entropy_rows"),
)
"""What is kept whole. Private functions of flax and Keras are among it: tests pin their names."""

CANDIDATES: Mapping[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "log_softmax": lambda rank: ({"axis": axis} for axis in range(rank)),
    "silu": lambda rank: iter([{}]),
}
"""Functions of jax.nn that are jitted under their own name -> arguments to try.

They need no wrapper, and are found where a model holds the function itself.
"""


_REPLACEMENTS: ContextVar[Mapping[int, Function]] = ContextVar("replacements")


def replaced(value: Any) -> Any:
    """What stands for the function `value` while markers are active: models hold functions."""
    # By identity: modules that hold variables refuse to be hashed.
    return _REPLACEMENTS.get({}).get(id(value), value)


class Markers:
    """The named calls of one import."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._names: dict[Any, str] = {}
        self._verified: dict[Any, bool] = {}
        self._sites: list[tuple[Any, str, Any, Any]] | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """While active, marked functions leave named calls in what is traced."""
        if self._sites is None:
            self._sites = list(self._find_sites())
        token = _REPLACEMENTS.set({id(old): new for _, _, old, new in self._sites})
        try:
            for module, name, _, new in self._sites:
                setattr(module, name, new)
            yield
        finally:
            _REPLACEMENTS.reset(token)
            for module, name, old, _ in self._sites:
                setattr(module, name, old)

    def _find_sites(self) -> Iterator[tuple[Any, str, Any, Any]]:
        """(module, name, function, replacement) wherever a marked function was imported."""
        pairs: list[tuple[str, Function, Function]] = [
            ("bernoulli", jax.random.bernoulli, replacing(jax.random.bernoulli))
        ]
        for entry in MARKED:
            original = getattr(sys.modules.get(entry.module), entry.name, None)
            if original is not None:
                pairs.append((entry.name, original, self._wrapped(entry, original)))
        for name, original, replacement in pairs:
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is original:
                    yield module, name, original, replacement

    def _wrapped(self, entry: Marked, original: Function) -> Function:
        def mark(function: Function) -> Function:
            return self._marking(entry.kind, function)

        return mark(original) if entry.pure is None else entry.pure(original)(mark)

    def _marking(self, kind: str, function: Function) -> Function:
        signature = inspect.signature(function)

        @wraps(function)
        def marked(*args: Any, **options: Any) -> Any:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            arrays = {k: v for k, v in bound.arguments.items() if _is_array(v)}
            if not any(isinstance(value, Tracer) for value in arrays.values()):
                return function(*args, **options)
            statics = {k: v for k, v in bound.arguments.items() if k not in arrays}
            mark = self._named(kind, function, tuple(arrays), statics)
            return jax.jit(mark.body)(*arrays.values())

        return marked

    def _named(
        self, kind: str, function: Function, names: tuple[str, ...], statics: Mapping[str, Any]
    ) -> Mark:
        """The mark of a call; equal calls have equal names, so that bodies can be compared."""
        key = (kind, function, names, repr(sorted(statics.items(), key=lambda item: item[0])))
        if key not in self._names:
            name = f"{PREFIX}{kind}.{len(self._names)}"

            def body(*arrays: Any) -> Any:
                given = {**statics, **dict(zip(names, arrays, strict=True))}
                bound = inspect.signature(function).bind_partial()
                bound.arguments.update(
                    {k: given[k] for k in inspect.signature(function).parameters}
                )
                return function(*bound.args, **bound.kwargs)

            body.__name__ = body.__qualname__ = name
            self._names[key] = name
            self._marks[name] = Mark(kind, names, statics, body)
        return self._marks[self._names[key]]

    def meaning(self, name: str, jaxpr: Any, avals: Sequence[Any]) -> Mark | None:
        """What the jitted call `name` with body `jaxpr` is, if its body proves it."""
        mark = self._marks.get(name)
        if mark is not None:
            return mark if self._is_body(mark.body, jaxpr, avals) else None
        if name not in CANDIDATES or len(avals) != 1:
            return None
        function = getattr(jax.nn, name)
        for statics in CANDIDATES[name](len(avals[0].shape)):
            if self._is_inner_body(function, statics, jaxpr, avals):
                return Mark(name, ("x",), statics, function)
        return None

    def _is_body(self, body: Function, jaxpr: Any, avals: Sequence[Any]) -> bool:
        key = (body, str(jaxpr))
        if key not in self._verified:
            with self.active():
                fresh = jax.make_jaxpr(body)(*map(_abstract, avals))
            self._verified[key] = str(fresh) == str(jaxpr)
        return self._verified[key]

    def _is_inner_body(
        self, function: Function, statics: Mapping[str, Any], jaxpr: Any, avals: Sequence[Any]
    ) -> bool:
        fresh = jax.make_jaxpr(lambda x: function(x, **statics))(*map(_abstract, avals))
        inner = fresh.jaxpr.eqns[0].params.get("jaxpr") if len(fresh.jaxpr.eqns) == 1 else None
        return inner is not None and str(inner) == str(jaxpr)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | Tracer)


def _abstract(aval: Any) -> Any:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False))
