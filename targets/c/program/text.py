"""Untrusted names in generated text: identifiers come from a table, comments cannot end early."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

from pock_ir.diagnostics import Diagnostic, PockError, quote

Key = TypeVar("Key", bound=Hashable)

# C11 and C++17 keywords, and names that the standard headers we include may define as macros.
_RESERVED = """
    alignas alignof and asm auto bitand bitor bool break case catch char class compl const
    constexpr continue decltype default delete do double else enum explicit export extern false
    float for friend goto if inline int long mutable namespace new noexcept not nullptr operator or
    private protected public register restrict return short signed sizeof static struct switch
    template this throw true try typedef typeid typename typeof union unsigned using virtual void
    volatile wchar_t while xor linux unix errno stdin stdout stderr main context
"""
RESERVED = frozenset(_RESERVED.split())

IDENTIFIER_LIMIT = 48
"""Longer names are cut: C11 promises 31 significant characters for external names only."""


def identifiers(names: Iterable[tuple[Key, str]]) -> dict[Key, str]:
    """A distinct C identifier for each key, in order, from the name that stands beside it.

    Characters outside [A-Za-z0-9_] become underscores; reserved words and names that would clash
    get a number. A key that comes again keeps its identifier.
    """
    taken = set(RESERVED)
    table: dict[Key, str] = {}
    for key, name in names:
        if key in table:
            continue
        stem = re.sub(r"[^A-Za-z0-9_]", "_", name)[:IDENTIFIER_LIMIT].strip("_") or "value"
        stem = stem if not stem[0].isdigit() else f"v{stem}"
        unique, number = stem, 1
        while unique in taken:
            number += 1
            unique = f"{stem}_{number}"
        taken.add(unique)
        table[key] = unique
    return table


def program_name(name: str) -> str:
    """`name` if it can prefix C identifiers and file names; raises PockError otherwise."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) or name in RESERVED:
        raise PockError(
            Diagnostic(
                f"{quote(name)} cannot name a program",
                help="use up to 32 lower-case letters, digits and underscores, a letter first",
            )
        )
    return name


def comment(text: str, limit: int = 160) -> str:
    """`text` made safe inside a C comment: printable ASCII, no end of comment, one line."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text[:limit])
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def c_string(data: bytes) -> str:
    """`data` as the inside of a C string literal, on one line."""
    return "".join(_c_character(byte) for byte in data)


def _c_character(byte: int) -> str:
    character = chr(byte)
    if character in '"\\?':
        return "\\" + character
    return character if 32 <= byte < 127 else f"\\{byte:03o}"


def fill(template: str, values: dict[str, str]) -> str:
    """Replace each `@KEY@` of `template`. Raises KeyError for a key without a value."""
    return re.sub(r"@([A-Za-z_]+)@", lambda match: values[match.group(1)], template)
