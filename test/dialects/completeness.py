"""The check that an op's whole life is written down: class, gradient and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pock_ir.op import PockOp

HasGradient = Callable[[type[PockOp]], bool]


def gaps(
    op_types: Iterable[type[PockOp]],
    sampled: Iterable[type[PockOp]],
    has_gradient: HasGradient,
) -> list[str]:
    """What is missing for each of `op_types`, as sentences.

    sampled: the ops that have samples; has_gradient: whether an op has a VJP rule or a refusal.
    """
    known = set(sampled)
    return [
        f"{op_type.name} has no {what}"
        for op_type in op_types
        for what, present in (
            ("docstring", bool((op_type.__dict__.get("__doc__") or "").strip())),
            ("inference", _overridden(op_type, "infer")),
            ("reference semantics", _overridden(op_type, "evaluate")),
            ("gradient rule or refusal", has_gradient(op_type)),
            ("samples", op_type in known),
        )
        if not present
    ]


def _overridden(op_type: type[PockOp], method: str) -> bool:
    return getattr(op_type, method) is not getattr(PockOp, method)
