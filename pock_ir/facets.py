"""Facets: what the compiler knows of an op, kept in one table per transformation.

A facet maps an op class to a rule, or to a refusal with a reason. The tables are filled by the
modules that hold the rules; `Facet.missing` lets a test ask every op for every facet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

from xdsl.ir import Operation

from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.location import location_of

Rule = TypeVar("Rule")


class Facet(Generic[Rule]):
    """One table of rules, by op class. `name` appears in messages; `package` holds the rules."""

    def __init__(self, name: str, package: str) -> None:
        self.name = name
        self._package = package
        self._loaded = False
        self._rules: dict[type[Operation], Rule] = {}
        self._refusals: dict[type[Operation], str] = {}

    def register(self, *op_types: type[Operation]) -> Callable[[Rule], Rule]:
        """Decorator: the decorated object is the rule of `op_types`.

        Raises ValueError if an op has a rule or a refusal already.
        """

        def add(rule: Rule) -> Rule:
            for op_type in op_types:
                self._claim(op_type)
                self._rules[op_type] = rule
            return rule

        return add

    def refuse(self, reason: str, *op_types: type[Operation]) -> None:
        """State that `op_types` have no such rule, and why. Raises ValueError on a second claim."""
        for op_type in op_types:
            self._claim(op_type)
            self._refusals[op_type] = reason

    def _claim(self, op_type: type[Operation]) -> None:
        if op_type in self._rules or op_type in self._refusals:
            raise ValueError(f"{op_type.name} has a {self.name} rule already")

    def _load(self) -> None:
        """Import every module of the rule package once, in alphabetical order."""
        if self._loaded:
            return
        self._loaded = True
        package = import_module(self._package)
        for module in sorted(info.name for info in iter_modules(package.__path__)):
            import_module(f"{self._package}.{module}")

    def of(self, op: Operation) -> Rule:
        """The rule of `op`. Raises PockError naming the op, its location and the reason."""
        self._load()
        rule = self._rules.get(type(op))
        if rule is not None:
            return rule
        reason = self._refusals.get(type(op), f"no {self.name} rule is known")
        raise PockError(Diagnostic(f"{op.name} has no {self.name}: {reason}", location_of(op)))

    def reason_against(self, op_type: type[Operation]) -> str | None:
        """Why `op_type` has no rule, or None if it has one or was never asked about."""
        self._load()
        return self._refusals.get(op_type)

    def has(self, op_type: type[Operation]) -> bool:
        self._load()
        return op_type in self._rules

    def missing(self, op_types: Iterable[type[Operation]]) -> list[type[Operation]]:
        """The ops that have neither a rule nor a refusal."""
        self._load()
        return [op for op in op_types if op not in self._rules and op not in self._refusals]
