"""Errors a user sees: one line each, with a source location, never a traceback."""

from dataclasses import dataclass

EXIT_USER_ERROR = 2
"""The exit status of every command whose input cannot be used."""

QUOTE_LIMIT = 80
"""The most characters of an untrusted name that a message repeats."""

MESSAGE_LIMIT = 1000
"""The most characters of one printed message; a message must stay readable in a terminal."""

LINE_LIMIT = 4 * MESSAGE_LIMIT
"""Where an overlong line is cut before it is escaped, so that printing costs a bounded time."""


def _escape_character(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _cut(text: str, limit: int) -> str:
    """Keep both ends of `text` when it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    mark = "..."
    head = (limit - len(mark) + 1) // 2
    return text[:head] + mark + text[len(text) - (limit - len(mark) - head) :]


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Escape control, format and surrogate characters of `text` and cut it to `limit`.

    The result is printable: it cannot move the cursor, colour the terminal, start a new line
    or fail to encode as UTF-8.
    """
    escaped = "".join(map(_escape_character, _cut(text, LINE_LIMIT)))
    return _cut(escaped, limit)


def quote(name: object, limit: int = QUOTE_LIMIT) -> str:
    """Quote untrusted text, such as a name from a file, for a one-line message.

    Backslashes and single quotes are escaped too, so that the end of the name is unmistakable.
    A name longer than `limit` characters keeps its two ends.
    """
    text = _cut(str(name), LINE_LIMIT).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{one_line(text, limit)}'"


@dataclass(frozen=True)
class Diagnostic:
    """One reason why an input cannot be used.

    location: where in the user's source, like "model.py:12:7"; None if there is no such place.
    help: what the user can do about it; None if that is obvious.
    """

    message: str
    location: str | None = None
    help: str | None = None

    def __str__(self) -> str:
        place = "" if self.location is None else f"{one_line(self.location)}: "
        line = f"{place}error: {one_line(self.message)}"
        return line if self.help is None else f"{line}\n  help: {one_line(self.help)}"


class PockError(Exception):
    """The input cannot be used, for each of the reasons in `diagnostics`.

    `str` prints one line for each, followed by its indented help. A plain string is a
    diagnostic without a location.
    """

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, *diagnostics: Diagnostic | str) -> None:
        """Raises ValueError when there is no diagnostic: an error without a reason is a bug."""
        if not diagnostics:
            raise ValueError("PockError needs at least one diagnostic")
        self.diagnostics = tuple(
            Diagnostic(item) if isinstance(item, str) else item for item in diagnostics
        )
        super().__init__(*self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class DiagnosticCollector:
    """Gathers diagnostics, so that everything unsupported is reported at once.

    A diagnostic that was added before is dropped: the same reason is printed once.
    """

    def __init__(self) -> None:
        self._diagnostics: dict[Diagnostic, None] = {}

    def add(self, message: str, location: str | None = None, help: str | None = None) -> None:
        """Remember one reason why the input cannot be used."""
        self._diagnostics[Diagnostic(message, location, help)] = None

    def extend(self, error: PockError) -> None:
        """Remember every diagnostic of an error that was caught."""
        self._diagnostics.update(dict.fromkeys(error.diagnostics))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What was added so far, in order."""
        return tuple(self._diagnostics)

    def __bool__(self) -> bool:
        return bool(self._diagnostics)

    def raise_if_any(self) -> None:
        """Raises PockError with everything that was added, if anything was."""
        if self._diagnostics:
            raise PockError(*self._diagnostics)
