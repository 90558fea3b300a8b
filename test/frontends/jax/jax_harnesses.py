"""JAX's own primitive test harnesses, each imported and compared with JAX, forward and backward."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from imported_runs import gradients_of, run_imported
from jax.lax import GatherScatterMode

from pock.frontends.jax.importer import import_jax
from pock.frontends.jax.model import Model
from pock_ir.diagnostics import PockError

PASSED, REFUSED, FAILED = "passed", "refused", "failed"

TOLERANCE = 1e-5
"""The largest relative error in norm; what is not finite must agree exactly."""


@dataclass(frozen=True)
class Outcome:
    """What became of one harness. reason: why it was refused, or how it failed."""

    status: str
    reason: str = ""


@cache
def harnesses() -> dict[str, Any]:
    """All harnesses whose element type is f32, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from jax._src.internal_test_util.test_harnesses import all_harnesses

    return {h.fullname: h for h in all_harnesses if h.dtype == np.float32}


def outcome_of(name: str) -> Outcome:
    """Import the harness `name` and compare it with JAX."""
    harness = harnesses()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = harness.dyn_args_maker(np.random.RandomState(0))
        return compare_with_jax(harness.dyn_fun, [_unsigned(jnp.asarray(a)) for a in given])


def _unsigned(value: Any) -> Any:
    """value with NaNs of one sign, of which pock sees none: XLA sorts by it."""
    return jnp.where(jnp.isnan(value), jnp.nan, value) if _is_float(value) else value


def compare_with_jax(function: Any, arguments: list[Any]) -> Outcome:
    """Import `function` and compare it with JAX; the floats among `arguments` get gradients."""
    try:
        expected = jax.tree_util.tree_leaves(function(*arguments))
    except Exception as error:
        return Outcome(REFUSED, f"JAX itself cannot compute it: {type(error).__name__}")
    is_float = [jnp.issubdtype(a.dtype, jnp.floating) for a in arguments]
    params = {f"p{i}": a for i, (a, f) in enumerate(zip(arguments, is_float, strict=True)) if f}
    inputs = tuple(a for a, f in zip(arguments, is_float, strict=True) if not f)

    def apply(params: Any, *given: Any) -> Any:
        ints = iter(given)
        floats = (params[f"p{i}"] if f else next(ints) for i, f in enumerate(is_float))
        outputs = jax.tree_util.tree_leaves(function(*floats))
        return {f"y{i}": y for i, y in enumerate(outputs)}

    weights = {f"y{i}": _weights(y) for i, y in enumerate(expected) if _is_float(y)}

    def loss(outputs: Any, _: Any) -> Any:
        return sum((jnp.vdot(w, outputs[name]) for name, w in weights.items()), jnp.zeros(()))

    try:
        imported = import_jax(Model(apply, params), inputs, None, loss)
    except PockError as error:
        return Outcome(REFUSED, error.diagnostics[0].message)
    given = {name: np.asarray(v) for name, v in zip(imported.inputs, inputs, strict=True)}
    found = run_imported(imported, "infer", given)
    for index, reference in enumerate(expected):
        problem = _difference(found["output", f"y{index}"], reference)
        if problem:
            return Outcome(FAILED, f"output {index}: {problem}")
    if not any(map(_is_float, expected)):
        return Outcome(PASSED)
    return _gradients(imported, apply, loss, params, inputs, given)


def _gradients(
    imported: Any, apply: Any, loss: Any, params: Any, inputs: Any, given: Any
) -> Outcome:
    if _breaks_promise(apply, params, inputs):
        return Outcome(PASSED, "forward only: an index out of range that was promised not to be")
    try:
        expected = jax.grad(lambda p: loss(apply(p, *inputs), None))(params)
    except Exception:
        return Outcome(PASSED)
    try:
        found = gradients_of(imported, given)
    except PockError as error:
        return Outcome(REFUSED, f"gradient: {error.diagnostics[0].message}")
    for name, reference in expected.items():
        value = found.get(name, np.zeros(reference.shape, np.float32))
        problem = _difference(value, reference)
        if problem:
            return Outcome(FAILED, f"gradient of {name}: {problem}")
    return Outcome(PASSED)


def _breaks_promise(apply: Any, params: Any, inputs: Any) -> bool:
    """Whether a gather that promises to stay in range does not: JAX then defines no gradient."""
    function = partial(_clip_and_fill, apply, params, inputs)
    clipped, filled = (jax.tree_util.tree_leaves(function(mode)) for mode in MODES)
    pairs = zip(clipped, filled, strict=True)
    return any(not np.array_equal(a, b, equal_nan=True) for a, b in pairs)


MODES = (GatherScatterMode.CLIP, GatherScatterMode.FILL_OR_DROP)


def _clip_and_fill(apply: Any, params: Any, inputs: Any, mode: Any) -> Any:
    """The outputs with every promise replaced by `mode`."""
    closed = jax.make_jaxpr(apply)(params, *inputs)

    def replaced(equation: Any) -> Any:
        if equation.params.get("mode") != GatherScatterMode.PROMISE_IN_BOUNDS:
            return equation
        fill = {} if equation.params.get("fill_value", 0.0) is not None else {"fill_value": np.nan}
        return equation.replace(params={**equation.params, "mode": mode, **fill})

    jaxpr = closed.jaxpr.replace(eqns=[replaced(equation) for equation in closed.jaxpr.eqns])
    leaves = jax.tree_util.tree_leaves((params, *inputs))
    return jax.core.eval_jaxpr(jaxpr, closed.consts, *leaves)


def _is_float(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jnp.floating)


def _weights(value: Any) -> Any:
    """Fixed cotangents, all different and near 1; 0 where the value is NaN and has no gradient."""
    waves = (1.0 + 0.5 * np.sin(np.arange(value.size, dtype=np.float32))).reshape(value.shape)
    return np.where(np.isnan(np.asarray(value)), np.float32(0), waves)


def _difference(value: Any, reference: Any) -> str:
    """What is wrong with `value`; "" if nothing is."""
    exact = np.asarray(reference, np.float64)
    mine = np.asarray(value, np.float64)
    if mine.shape != exact.shape:
        return f"shape {mine.shape} instead of {exact.shape}"
    finite = np.isfinite(exact)
    if not np.array_equal(mine[~finite], exact[~finite], equal_nan=True):
        return "values that are not finite differ"
    scale = np.linalg.norm(exact[finite]) or 1.0
    error = float(np.linalg.norm(mine[finite] - exact[finite]) / scale)
    if not error <= TOLERANCE:
        return f"relative error {error:.1e}"
    return ""
