"""How a handler says that it cannot import a call."""

from __future__ import annotations


class Refusal(Exception):
    """An operation is used in a way that cannot be imported: why, and what the user can do."""

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.help = help
