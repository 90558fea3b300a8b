"""Evaluates a traced training function with dropout masks that are given.

Masks are taken in the order in which the importer counts streams: that of the equations that are
needed, bodies in their place, and loops step by step.

With `double`, what the function computes in f32 whatever its operands are (attention scores, loss
scales) is computed in float64 as well: such a run says what is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from pock.frontends.jax.calls import CUSTOM, body_of, needed_equations, needed_of_scan
from pock.frontends.jax.random import NAME, drop_probability
from pock_ir.diagnostics import PockError

Draw = Callable[[tuple[int, ...], float], Any]
"""(shape, probability of being dropped) -> truth values, true where an element is kept."""


def evaluate(
    closed: Any, arguments: Sequence[Any], wanted: Sequence[bool], draw: Draw, double: bool = False
) -> list[Any]:
    """The results of `closed`; those that are not wanted are None."""
    return _Evaluation(draw, double).body(closed.jaxpr, closed.consts, arguments, wanted)


class _Evaluation:
    def __init__(self, draw: Draw, double: bool) -> None:
        self._draw = draw
        self._double = double

    def body(
        self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], wanted: Sequence[bool]
    ) -> list[Any]:
        values = dict(zip(jaxpr.constvars, consts, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for equation, needed in needed_equations(jaxpr, wanted):
            results = self._equation(equation, [read(atom) for atom in equation.invars], needed)
            values.update(zip(equation.outvars, results, strict=True))
        pairs = zip(jaxpr.outvars, wanted, strict=True)
        return [read(atom) if keep else None for atom, keep in pairs]

    def _equation(
        self, equation: Any, operands: list[Any], wanted: Sequence[bool]
    ) -> Sequence[Any]:
        if equation.primitive.name == NAME:
            return [_mask(equation.params["shape"], operands[1], self._draw)]
        narrow = self._double and _has_f32(equation)
        draws = _draws(equation)
        if not draws and not narrow:
            return _bound(equation, operands, equation.params)
        called = body_of(equation)
        if called is not None and (draws or equation.primitive.name not in CUSTOM):
            return self.body(called.jaxpr, called.consts, operands, wanted)
        if equation.primitive.name == "scan":
            return self._scan(equation.params, operands, wanted)
        if draws:
            name = equation.primitive.name
            raise PockError(f"{name} with dropout inside cannot be evaluated")
        wide = list(map(_widened, operands))
        if equation.primitive.name == "custom_jvp_call":
            return self._custom_jvp(equation.params, wide)
        return _bound(equation, wide, _wide_params(equation.params))

    def _custom_jvp(self, params: Any, operands: list[Any]) -> Sequence[Any]:
        """A function with a derivative of its own, both evaluated in float64."""
        called = params["call_jaxpr"]
        is_float = [jnp.issubdtype(jnp.result_type(value), jnp.floating) for value in operands]

        @jax.custom_jvp
        def function(*values: Any) -> list[Any]:
            return self.body(called.jaxpr, called.consts, values, [True] * len(called.out_avals))

        @function.defjvp
        def _(primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
            rule = params["jvp_jaxpr_fun"].call_wrapped(*(not keep for keep in is_float))
            jaxpr, consts, zeros = rule
            given = [t for t, keep in zip(tangents, is_float, strict=True) if keep]
            found = self.body(jaxpr, consts, [*primals, *given], [True] * len(jaxpr.outvars))
            results, rest = found[: len(zeros)], iter(found[len(zeros) :])
            pairs = zip(zeros, results, strict=True)
            return results, [jnp.zeros_like(y) if zero else next(rest) for zero, y in pairs]

        return function(*operands)

    def _scan(self, params: Any, operands: list[Any], wanted: Sequence[bool]) -> list[Any]:
        needed = needed_of_scan(params, wanted)
        first, count, body = params["num_consts"], params["num_carry"], params["jaxpr"]
        fixed, carry = operands[:first], operands[first : first + count]
        rows: list[list[Any]] = []
        steps = range(params["length"])
        for step in reversed(steps) if params["reverse"] else steps:
            items = [sequence[step] for sequence in operands[first + count :]]
            results = self.body(body.jaxpr, body.consts, [*fixed, *carry, *items], needed)
            carry = results[:count]
            rows.append(results[count:])
        columns = zip(*(rows[::-1] if params["reverse"] else rows), strict=True)
        pairs = zip(columns, needed[count:], strict=True)
        return [*carry, *(jnp.stack(column) if keep else None for column, keep in pairs)]


def _bound(equation: Any, operands: Sequence[Any], params: Any) -> Sequence[Any]:
    params = equation.primitive.get_bind_params(params)
    # Probabilities may be computed; they must be numbers while the rest is traced.
    is_known = not any(isinstance(operand, Tracer) for operand in operands)
    with jax.ensure_compile_time_eval() if is_known else nullcontext():
        found = equation.primitive.bind(*operands, **params)
    return found if equation.primitive.multiple_results else [found]


def _has_f32(equation: Any) -> bool:
    """Whether an equation, or one inside, makes or reads f32."""
    atoms = (*equation.invars, *equation.outvars)
    return any(getattr(atom.aval, "dtype", None) == jnp.float32 for atom in atoms) or any(
        _has_f32(inner) for jaxpr in _inside(equation) for inner in jaxpr.eqns
    )


def _widened(value: Any) -> Any:
    is_f32 = getattr(value, "dtype", None) == jnp.float32
    return jnp.asarray(value, jnp.float64) if is_f32 else value


def _wide_params(params: Any) -> dict[str, Any]:
    """Parameters that name an element type, with float64 for f32."""
    return {
        name: np.dtype(np.float64) if isinstance(v, np.dtype | type) and v == np.float32 else v
        for name, v in params.items()
    }


def _mask(shape: tuple[int, ...], keep: Any, draw: Draw) -> Any:
    p = drop_probability(float(keep))
    return jnp.full(shape, p <= 0.0) if p <= 0.0 or p >= 1.0 else draw(shape, p)


def _draws(equation: Any) -> bool:
    """Whether an equation draws masks inside."""
    return any(
        inner.primitive.name == NAME or _draws(inner)
        for jaxpr in _inside(equation)
        for inner in jaxpr.eqns
    )


def _inside(equation: Any) -> Iterator[Any]:
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item
