"""Imports one jaxpr into a block: walks its equations and asks the table for each.

What cannot be imported is collected, and a constant of the right type takes its place, so that
the rest of the graph is examined too: a user sees all that is unsupported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal
from xdsl.dialects.builtin import UNKNOWN_LOC, NameLoc, StringAttr
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.refusal import NotInTable, Refusal, report
from pock.frontends.common.steps import (
    splat,
)
from pock.frontends.common.values import MISSING, Missing
from pock.frontends.jax.calls import CUSTOM, DRAWS, Body, body_of, draws, needed_equations
from pock.frontends.jax.known import Known, constant, evaluated, is_empty, nothing
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.random import NAME as BERNOULLI
from pock.frontends.jax.source import Frame, describe_frame, equation_frame, frame_location
from pock.frontends.jax.table import (
    Decline,
    handlers,
    tensor_type_of,
    whole_handlers,
)
from pock.frontends.jax.values import HELP_RANDOM, KEY, Values
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.types import shape_of

HELP_CUSTOM = "write it with operations that have the wanted gradient"

KEY_PRIMITIVES = frozenset(
    (
        *("broadcast_in_dim", "concatenate", "copy", "copy_p", "dynamic_slice", "gather"),
        *("random_clone", "random_fold_in", "random_split", "random_unwrap", "random_wrap"),
        *("reshape", "select_n", "slice", "squeeze", "transpose"),
    )
)
"""Primitives that make keys of keys: the counter needs no key, so they vanish."""

RANDOM_NUMBERS = "random numbers other than dropout's are not supported"
RANDOM_KEY = "a random key as data is not supported"


class GraphImporter:
    """Imports the equations of one function, whose values are `values`."""

    def __init__(self, values: Values, markers: Markers, errors: DiagnosticCollector) -> None:
        self.values = values
        self.emit = values.emit
        self._markers = markers
        self._errors = errors
        self._frame: Frame | None = None
        self._layer = ""
        self._depth = 0
        self._differentiated: set[int] = set()

    def run(
        self,
        closed: Any,
        arguments: Sequence[Any],
        wanted: Sequence[bool],
        differentiated: Sequence[bool],
    ) -> list[Any]:
        """Import what the results with a true entry in `wanted` depend on; return all results.

        Gradients pass only what the `differentiated` results depend on. Results that are not
        wanted, and what could not be imported, are Missing.
        """
        self._differentiated = {
            id(equation) for equation, _ in needed_equations(closed.jaxpr, differentiated)
        }
        values = self.body(closed.jaxpr, map(constant, closed.consts), arguments, wanted)
        pairs = zip(values, wanted, strict=True)
        return [self._result(value) if keep else MISSING for value, keep in pairs]

    def _result(self, value: Any) -> Any:
        try:
            return self.values.tensor(value)
        except Refusal as refusal:
            self._errors.add(str(refusal), None, refusal.help)
            return MISSING

    def body(
        self,
        jaxpr: Any,
        consts: Any,
        arguments: Sequence[Any],
        wanted: Sequence[bool],
        frame: Frame | None = None,
    ) -> list[Any]:
        """Import a body on `arguments`. frame: of all of it; None: each equation's own."""
        depth, self._depth = self._depth, self._depth + 1
        try:
            return self._body(jaxpr, consts, arguments, wanted, frame, depth)
        finally:
            self._depth = depth

    def _body(
        self,
        jaxpr: Any,
        consts: Any,
        arguments: Sequence[Any],
        wanted: Sequence[bool],
        frame: Frame | None,
        depth: int,
    ) -> list[Any]:
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Any:
            is_literal = isinstance(atom, Literal)
            return constant(np.asarray(atom.val)) if is_literal else values[atom]

        for equation, results in needed_equations(jaxpr, wanted):
            self._move_to(frame or equation_frame(equation.source_info))
            if depth == 0:
                self.values.has_gradient = id(equation) in self._differentiated
                self._layer = str(equation.source_info.name_stack)
            operands = [read(atom) for atom in equation.invars]
            found = self._import(equation, operands, results)
            values.update(zip(equation.outvars, found, strict=True))
        return [
            read(atom) if keep else MISSING
            for atom, keep in zip(jaxpr.outvars, wanted, strict=True)
        ]

    def _move_to(self, frame: Frame | None) -> None:
        self._frame = frame or self._frame
        unknown = NameLoc(StringAttr("model"), UNKNOWN_LOC)
        self.emit.location = unknown if self._frame is None else frame_location(self._frame)

    def _import(self, equation: Any, operands: list[Any], wanted: Sequence[bool]) -> Sequence[Any]:
        """The results of `equation`; of a body those with a true entry in `wanted`."""
        if all(map(is_empty, equation.outvars)):
            return [nothing(variable.aval) for variable in equation.outvars]
        called = body_of(equation)
        try:
            if called is not None:
                return self._call_body(equation, called, operands, wanted)
            from pock.frontends.jax.loops import LOOPS

            if any(value is MISSING for value in operands):
                return self._unreadable(equation, LOOPS)
            if equation.primitive.name in LOOPS:
                return LOOPS[equation.primitive.name](self, equation, operands, wanted)
            if all(isinstance(value, Known) for value in operands):
                return evaluated(equation, operands)
            if any(value is KEY for value in operands) and equation.primitive.name != BERNOULLI:
                return self._keys(equation)
            return self._call(equation, operands)
        except Refusal as refusal:
            return self._refuse(equation, refusal)
        except VerifyException as error:
            return self._refuse(equation, Refusal(str(error)))

    def _unreadable(self, equation: Any, loops: Collection[str]) -> Sequence[Any]:
        """The results of an equation with an operand that could not be imported.

        Raises Refusal if the equation could not be imported whatever it reads.
        """
        name = equation.primitive.name
        if not any(name in known for known in (handlers(), loops, KEY_PRIMITIVES)):
            raise NotInTable
        return self._placeholders(equation)

    def _keys(self, equation: Any) -> Sequence[Any]:
        name = equation.primitive.name
        if name in KEY_PRIMITIVES:
            return [KEY] * len(equation.outvars)
        is_draw = name in DRAWS
        raise Refusal(RANDOM_NUMBERS if is_draw else RANDOM_KEY, HELP_RANDOM)

    def _call_body(
        self, equation: Any, called: Body, operands: list[Any], wanted: Sequence[bool]
    ) -> Sequence[Any]:
        whole = self._whole(equation, called, operands)
        if whole is not None:
            return whole
        if any(value is KEY for value in operands) and draws(called):
            raise Refusal(RANDOM_NUMBERS, HELP_RANDOM)
        is_custom = equation.primitive.name in CUSTOM and not called.is_library
        if is_custom and any(map(self.values.is_active, operands)):
            raise Refusal(f"{called.name} defines its own gradient", HELP_CUSTOM)
        frame = self._frame if called.is_library else None
        consts = map(constant, called.consts)
        return self.body(called.jaxpr, consts, operands, wanted, frame)

    def _whole(self, equation: Any, called: Body, operands: list[Any]) -> Sequence[Any] | None:
        """The results of a call that is taken whole; None if it is not."""
        if all(isinstance(value, Known) for value in operands):
            return None
        avals = [atom.aval for atom in equation.invars]
        if equation.primitive.name in CUSTOM:
            kind = f"{equation.primitive.name}:{called.name}"
            names, statics = (), {}
            if not called.is_library:
                return None
        else:
            mark = self._markers.meaning(called.name, equation.params.get("jaxpr"), avals)
            if mark is None:
                return None
            kind, names, statics = mark.kind, mark.names, mark.statics
        handler = whole_handlers().get(kind)
        if handler is None:
            return None
        return self.values.attempt(
            lambda: self.values.handled(kind, handler, statics, equation, operands, names), Decline
        )

    def _call(self, equation: Any, operands: list[Any]) -> Sequence[Any]:
        handler = handlers().get(equation.primitive.name)
        if handler is None:
            raise NotInTable
        name = equation.primitive.name
        return self.values.handled(name, handler, equation.params, equation, operands, ())

    # What could not be imported.

    def _refuse(self, equation: Any, refusal: Refusal) -> Sequence[Any]:
        """Remember why `equation` cannot be imported."""
        shown = ", ".join(_describe(atom.aval) for atom in equation.invars)
        # A model that a library builds, such as a functional one of Keras, has no line of its own.
        place = describe_frame(self._frame) or self._layer or None
        called = body_of(equation)
        name = equation.primitive.name if called is None else called.name.lstrip("_")
        report(self._errors, name, shown, place, refusal)
        return self._placeholders(equation)

    def _placeholders(self, equation: Any) -> Sequence[Any]:
        """Constants of the types of the results, to go on with."""
        return [self._placeholder(variable.aval) for variable in equation.outvars]

    def _placeholder(self, aval: Any) -> SSAValue | Missing:
        try:
            return splat(self.emit, 0, tensor_type_of(aval))
        except Refusal:
            return MISSING


def _describe(aval: Any) -> str:
    try:
        kind = tensor_type_of(aval)
    except Refusal:
        return str(aval)
    return "x".join([*map(str, shape_of(kind)), str(kind.element_type)])
