"""Update schemes as text: a word, a JSON or TOML file, or one line for a pass option.

A file holds a list of rules, and may list the names of parameters that none of them can train
("frozen"); a rule has the fields of `scheme_rules.Rule`:

    {"rules": [
      {"parameters": "@bias", "within": "@last:6"},
      {"parameters": "@first-pointwise", "within": "@block:features.1?", "ratio": 0.5},
      {"parameters": "@head"}
    ]}

In TOML each rule is a table `[[rules]]`. As a pass option the JSON is written with single quotes,
and %XX stands for quotes, backslashes and percent signs in names, because the syntax of pass
options has no escapes.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.passes.scheme_rules import Rule, Scheme

SIZE_LIMIT = 1 << 20
"""The most bytes of a scheme: a rule for each of 10,000 parameters fits."""

WORDS = ("full", "head", "bias", "last:K")
PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%'\"\\")
"""The characters that a pass option can hold as they are."""

_KINDS: Mapping[str, tuple[type, ...]] = {
    "parameters": (str,),
    "train": (bool,),
    "ratio": (int, float),
    "axis": (str,),
    "within": (str,),
}


def parse_update(update: str) -> Scheme:
    """The scheme that a user names: "full", "head", "bias", "last:K", a file, or scheme text.

    Raises PockError if it is none of these, or if the file or text is malformed.
    """
    if update.lstrip().startswith("{"):
        return _parse_option(update)
    if update.endswith((".json", ".toml")):
        return read_scheme(update)
    word, _, count = update.partition(":")
    if word == "last":
        return Scheme((Rule(f"@last:{count}"), Rule("@head")))
    words: Mapping[str, Callable[[], Scheme]] = {
        "full": Scheme.full,
        "head": Scheme.head,
        "bias": Scheme.bias_only,
    }
    if update not in words:
        close = difflib.get_close_matches(update, WORDS, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        known = ", ".join(WORDS)
        raise PockError(
            Diagnostic(
                f"there is no update {quote(update)}{meant}",
                help=f"use one of {known}, or the name of a .json or .toml file",
            )
        )
    return words[update]()


def read_scheme(path: str) -> Scheme:
    """The scheme in a .json or .toml file.

    Raises PockError naming the file, and line or key, for everything that is wrong with it.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PockError(f"cannot read {quote(path)}: {reason}") from None
    if len(content) > SIZE_LIMIT:
        raise PockError(Diagnostic(f"longer than {SIZE_LIMIT} bytes", path))
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise PockError(Diagnostic("not valid UTF-8", path)) from None
    return parse_toml(text, path) if path.endswith(".toml") else parse_json(text, path)


def parse_json(text: str, source: str | None = None) -> Scheme:
    """The scheme in JSON text. Raises PockError for everything that is wrong with it."""
    return _scheme(_load(text, source), source)


def _load(text: str, source: str | None) -> Any:
    """A JSON document. Raises PockError if it is none."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"{source or '<scheme>'}:{error.lineno}:{error.colno}"
        raise PockError(Diagnostic(f"not JSON: {error.msg}", place)) from None
    except RecursionError:
        raise PockError(Diagnostic("nested too deeply", source)) from None
    except ValueError as error:
        raise PockError(Diagnostic(str(error), source)) from None


def parse_toml(text: str, source: str | None = None) -> Scheme:
    """The scheme in TOML text. Raises PockError for everything that is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PockError(Diagnostic(f"not TOML: {error}", source)) from None
    except RecursionError:
        raise PockError(Diagnostic("nested too deeply", source)) from None
    return _scheme(document, source)


def option_text(scheme: Scheme) -> str:
    """The text of `scheme` for a pass option, which `parse_update` reads back."""
    return json.dumps(_with_texts(scheme.document(), _encode)).replace('"', "'")


def _encode(text: str) -> str:
    return percent_encode(text, safe=PLAIN)


def _parse_option(text: str) -> Scheme:
    """A scheme in JSON, or in the form of `option_text`."""
    if '"' in text:
        return parse_json(text)
    return _scheme(_with_texts(_load(text.replace("'", '"'), None), percent_decode), None)


def _with_texts(document: Any, change: Callable[[str], str]) -> Any:
    """`document` with every text in it changed, keys excepted."""
    if isinstance(document, dict):
        fields = cast("dict[str, Any]", document)
        return {key: _with_texts(value, change) for key, value in fields.items()}
    if isinstance(document, list):
        return [_with_texts(item, change) for item in cast("list[Any]", document)]
    return change(document) if isinstance(document, str) else document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; Python would keep the last of two equal keys."""
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {quote(key)} occurs twice")
        fields[key] = value
    return fields


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _scheme(document: Any, source: str | None) -> Scheme:
    """The scheme that a parsed document states."""
    problems = DiagnosticCollector()
    if not isinstance(document, dict):
        raise PockError(Diagnostic('a scheme should be an object with the key "rules"', source))
    fields = cast("dict[str, Any]", document)
    _check_keys(fields, ("rules", "frozen"), "", source, problems)
    entries = _list(fields, "rules", source, problems)
    rules = [_rule(entry, f"rules[{i}]", source, problems) for i, entry in enumerate(entries)]
    frozen = _list(fields, "frozen", source, problems)
    if not all(isinstance(name, str) for name in frozen):
        problems.add("frozen: this should be a list of texts", source)
    problems.raise_if_any()
    return Scheme(tuple(rule for rule in rules if rule is not None), source, tuple(frozen))


def _list(
    fields: Mapping[str, Any], key: str, source: str | None, problems: DiagnosticCollector
) -> list[Any]:
    """The list at `key`, empty if there is none or it is no list."""
    found = fields.get(key, [])
    if isinstance(found, list):
        return cast("list[Any]", found)
    problems.add(f"{key}: this should be a list", source)
    return []


def _rule(entry: Any, key: str, source: str | None, problems: DiagnosticCollector) -> Rule | None:
    """One rule, or None after adding what is wrong with its form."""
    if not isinstance(entry, dict):
        problems.add(f"{key}: a rule should be an object", source)
        return None
    fields = cast("dict[str, Any]", entry)
    before = len(problems.diagnostics)
    _check_keys(fields, tuple(_KINDS), f"{key}.", source, problems)
    if "parameters" not in fields:
        problems.add(f'{key}: the key "parameters" is missing', source)
    for name, value in fields.items():
        kinds = _KINDS.get(name)
        is_truth = isinstance(value, bool)
        if kinds is not None and (not isinstance(value, kinds) or is_truth != (kinds == (bool,))):
            wanted = {str: "a text", bool: "true or false"}.get(kinds[0], "a number")
            problems.add(f"{key}.{name}: this should be {wanted}", source)
    return Rule(**fields) if len(problems.diagnostics) == before else None


def _check_keys(
    fields: Mapping[str, Any],
    known: Iterable[str],
    prefix: str,
    source: str | None,
    problems: DiagnosticCollector,
) -> None:
    for name in fields:
        if name not in known:
            listed = ", ".join(known)
            problems.add(f"{prefix}{name}: there is no such key; known are {listed}", source)
