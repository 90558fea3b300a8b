"""`pock.toml`: the options of the command line, as a file; what the command line says wins."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pock_ir.diagnostics import Diagnostic, PockError, quote

FILE = Path("pock.toml")
MAX_BYTES = 1 << 20


def read_config(group: click.Group, path: Path | None) -> dict[str, dict[str, Any]]:
    """Defaults for each command, from `path`, or from pock.toml where there is one.

    The file has a table for each command with its long options as keys. Raises PockError for a
    file that cannot be read, and for a table or key that no command has.
    """
    chosen = path or FILE
    if path is None and not chosen.is_file():
        return {}
    try:
        content = chosen.read_bytes()
        if len(content) > MAX_BYTES:
            raise PockError(Diagnostic(f"longer than {MAX_BYTES} bytes", str(chosen)))
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise PockError(f"cannot read {quote(chosen)}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of TOML or of UTF-8
        raise PockError(Diagnostic(f"not TOML: {error}", str(chosen))) from error
    return {name: _defaults(group, name, table, chosen) for name, table in document.items()}


def _defaults(group: click.Group, name: str, table: Any, path: Path) -> dict[str, Any]:
    command = group.commands.get(name)
    if command is None or not isinstance(table, Mapping):
        known = ", ".join(group.commands)
        message = f"no command is called {quote(name)}"
        raise PockError(Diagnostic(message, str(path), f"tables: {known}"))
    options = {_key(item): item for item in command.params}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in options:
            known = ", ".join(options)
            raise PockError(
                Diagnostic(f"[{name}] has no key {quote(key)}", str(path), f"keys: {known}")
            )
        if not isinstance(value, str | int | float | bool):
            raise PockError(Diagnostic(f"[{name}] {key}: not a plain value", str(path)))
        option = options[key].name
        assert option is not None
        found[option] = value if isinstance(value, bool) else str(value)
    return found


def _key(item: click.Parameter) -> str:
    """The longest name of an option without its dashes; the name of an argument."""
    if isinstance(item, click.Argument):
        return str(item.name)
    return max(item.opts, key=len).lstrip("-")
