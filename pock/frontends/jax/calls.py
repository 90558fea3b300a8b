"""Primitives that hold a function: their bodies are imported in their place.

jit, remat and closed calls mean nothing else. A custom derivative does: its body is imported only
where no gradient passes, or if the function is one of JAX's own, whose rules compute the true
derivative in a better way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from jax.extend.core import ClosedJaxpr, Literal

from pock.frontends.jax.source import is_library

BODIES = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_lin": "jaxpr",
}
"""Primitive -> the parameter that holds its body."""

DRAWS = ("random_bits", "threefry2x32")
"""Primitives that make random numbers of a key."""

RANDOM = ("jax", "_src", "random")
"""The folder of jax.random."""

CUSTOM = ("custom_jvp_call", "custom_vjp_call")
"""Primitives with a derivative of their own."""


@dataclass(frozen=True)
class Body:
    """The function in a primitive.

    name: what it is called. is_library: whether it is part of JAX or a library above it.
    """

    name: str
    jaxpr: Any
    consts: tuple[Any, ...]
    is_library: bool


def body_of(equation: Any) -> Body | None:
    """The function that `equation` calls, or None if it calls none."""
    parameter = BODIES.get(equation.primitive.name)
    held = None if parameter is None else equation.params.get(parameter)
    if held is None:
        return None
    closed = isinstance(held, ClosedJaxpr)
    jaxpr = held.jaxpr if closed else held
    name = str(equation.params.get("name") or jaxpr.debug_info.func_name)
    return Body(name, jaxpr, tuple(held.consts) if closed else (), is_library(source_file(jaxpr)))


def source_file(jaxpr: Any) -> str:
    """The file in which the function of a jaxpr is defined; "<unknown>" if that is not known."""
    place = jaxpr.debug_info.func_src_info or ""
    _, separator, rest = place.partition(" at ")
    return rest.rpartition(":")[0] if separator else "<unknown>"


def draws(called: Body) -> bool:
    """Whether `called` is a function of jax.random that draws: normal, uniform and so on."""
    parts = PurePath(source_file(called.jaxpr)).with_suffix("").parts
    return parts[-4:-1] == RANDOM and _has_draw(called.jaxpr)


def _has_draw(jaxpr: Any) -> bool:
    inner = (body_of(equation) for equation in jaxpr.eqns)
    return any(equation.primitive.name in DRAWS for equation in jaxpr.eqns) or any(
        called is not None and _has_draw(called.jaxpr) for called in inner
    )


def needed_equations(jaxpr: Any, wanted: Sequence[bool]) -> list[tuple[Any, list[bool]]]:
    """The equations that the results with a true entry in `wanted` depend on, in order.

    Each comes with which of its results are needed.
    """
    needed = {
        variable
        for variable, keep in zip(jaxpr.outvars, wanted, strict=True)
        if keep and not isinstance(variable, Literal)
    }
    kept: list[tuple[Any, list[bool]]] = []
    for equation in reversed(jaxpr.eqns):
        results = [variable in needed for variable in equation.outvars]
        if not any(results):
            continue
        kept.append((equation, results))
        needed.update(v for v in equation.invars if not isinstance(v, Literal))
    return kept[::-1]


def needed_of_scan(params: Any, wanted: Sequence[bool]) -> list[bool]:
    """Which results of the body of a `scan` its results with a true entry in `wanted` need.

    A part of the carry that only its own next value depends on is not needed.
    """
    body, first, count = params["jaxpr"].jaxpr, params["num_consts"], params["num_carry"]
    carried = body.invars[first : first + count]
    kept = list(wanted)
    while True:
        read = {
            atom
            for atom, keep in zip(body.outvars, kept, strict=True)
            if keep and not isinstance(atom, Literal)
        }
        for inner, _ in needed_equations(body, kept):
            read.update(v for v in inner.invars if not isinstance(v, Literal))
        pairs = zip(carried, kept, strict=False)
        more = [keep or variable in read for variable, keep in pairs] + kept[count:]
        if more == kept:
            return kept
        kept = more
