"""Primitives that hold a function: their bodies are imported in their place.

jit, remat and closed calls mean nothing else. A custom derivative does: its body is imported only
where no gradient passes, or if the function is one of JAX's own, whose rules compute the true
derivative in a better way.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def needed_equations(jaxpr: Any, wanted: Any) -> list[Any]:
    """The equations that the results with a true entry in `wanted` depend on, in order."""
    needed = {
        variable
        for variable, keep in zip(jaxpr.outvars, wanted, strict=True)
        if keep and not isinstance(variable, Literal)
    }
    kept: list[Any] = []
    for equation in reversed(jaxpr.eqns):
        if needed.isdisjoint(equation.outvars):
            continue
        kept.append(equation)
        needed.update(v for v in equation.invars if not isinstance(v, Literal))
    return kept[::-1]
