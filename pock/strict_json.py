"""JSON files that may come from anywhere: capped, without surprises, each value of a known type."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, TypeVar, cast

from pock_ir.diagnostics import Diagnostic, PockError, quote

MAX_INTEGER = 1 << 53
"""Larger integers are not exact in JSON of other languages; no size of a program comes near."""

Item = TypeVar("Item")


def read_object(path: Path, max_bytes: int, help: str | None = None) -> Node:
    """The object in the file at `path`.

    help: what to do when the file is missing or malformed. Raises PockError for a file that
    cannot be read, is larger than `max_bytes`, or is not one JSON object with unique keys.
    """
    content = read_capped(path, max_bytes, help)
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError:
        raise PockError(Diagnostic("nested too deeply", str(path), help)) from None
    except ValueError as error:
        raise PockError(Diagnostic(f"not JSON: {error}", str(path), help)) from None
    node = Node(value, str(path), "", help)
    node.items()
    return node


def read_capped(path: Path, max_bytes: int, help: str | None = None) -> bytes:
    """The contents of a regular file. Raises PockError if it is none, or too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PockError(Diagnostic(f"{quote(path)} is not a regular file", help=help))
        if status.st_size > max_bytes:
            raise PockError(
                Diagnostic(f"longer than {max_bytes} bytes", str(path), "it was not made by pock")
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PockError(Diagnostic(f"cannot read {quote(path)}: {reason}", help=help)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


class Node:
    """A value of a JSON file that knows where it stands; each access states what it expects."""

    def __init__(self, value: Any, file: str, key: str, help: str | None) -> None:
        self.value = value
        self._file = file
        self._key = key
        self._help = help

    def fail(self, message: str) -> PockError:
        """The error that `message` holds of this value."""
        where = f"{quote(self._key)}: " if self._key else ""
        return PockError(Diagnostic(f"{where}{message}", self._file, self._help))

    def _typed(self, kind: type[Item], wanted: str) -> Item:
        if type(self.value) is not kind:
            raise self.fail(f"this should be {wanted}")
        return cast(Item, self.value)

    def _child(self, value: Any, key: str) -> Node:
        return Node(value, self._file, f"{self._key}.{key}" if self._key else key, self._help)

    def items(self) -> dict[str, Node]:
        """The fields of an object."""
        fields: dict[str, Any] = self._typed(dict, "an object")
        return {key: self._child(value, key) for key, value in fields.items()}

    def fields(self, *names: str) -> list[Node]:
        """The fields called `names`; the object must have these and no others."""
        found = self.items()
        for name in names:
            if name not in found:
                raise self.fail(f"the key {quote(name)} is missing")
        for name in found:
            if name not in names:
                raise self.fail(f"there is no such key: {quote(name)}")
        return [found[name] for name in names]

    def elements(self, max_count: int) -> list[Node]:
        """The elements of a list of at most `max_count`."""
        listed: list[Any] = self._typed(list, "a list")
        if len(listed) > max_count:
            raise self.fail(f"longer than {max_count}")
        return [self._child(value, str(index)) for index, value in enumerate(listed)]

    def text(self, max_characters: int = 65536) -> str:
        value = self._typed(str, "a text")
        if len(value) > max_characters:
            raise self.fail(f"longer than {max_characters} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.fail("half of a surrogate pair") from None
        return value

    def integer(self, low: int = 0, high: int = MAX_INTEGER) -> int:
        value = self._typed(int, "an integer")
        if not low <= value <= high:
            raise self.fail(f"this should be from {low} to {high}")
        return value

    def choice(self, *known: str) -> str:
        value = self.text()
        if value not in known:
            raise self.fail(f"{quote(value)} is not one of {', '.join(known)}")
        return value
