"""How a handler says that it cannot import a call."""

from __future__ import annotations

from pock_ir.diagnostics import DiagnosticCollector

HELP_UNSUPPORTED = "write it with supported operations, or compute it outside of the model"


class Refusal(Exception):
    """An operation is used in a way that cannot be imported: why, and what the user can do."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.help = help


class NotInTable(Refusal):
    """No handler imports the operation."""

    def __init__(self) -> None:
        super().__init__("is not supported", HELP_UNSUPPORTED)


def report(
    errors: DiagnosticCollector, name: str, operands: str, place: str | None, refusal: Refusal
) -> None:
    """Remember why the operation `name`, on `operands` as a user knows them, is not imported."""
    joint = " " if isinstance(refusal, NotInTable) else ": "
    errors.add(f"{name}{joint}{refusal} (operands: {operands or 'none'})", place, refusal.help)


def first_line(error: BaseException) -> str:
    """The first line of what a framework says, or the kind of an error that says nothing."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
