"""Optimizer updates as scalar expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from xdsl.ir import Operation

from pock_ir.scalar import Expr

UPDATES: Mapping[type[Operation], Callable[[Operation, Sequence[Expr]], Sequence[Expr]]] = {}
