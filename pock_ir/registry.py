"""Every pass by name, found by scanning the packages that hold passes.

A pass is a frozen data class whose fields are its options. Its text, `name{option=value ...}`, is
what `pock-opt -p` reads and what a reproducer prints; both directions live here, so that each
pass survives the way through text. The level that a pass works at stands in the IR with which its
module's docstring begins, which a test runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from xdsl.passes import ModulePass

from pock_ir.diagnostics import Diagnostic, PockError, quote

PACKAGES = ("pock_ir.passes", "pock_ir.lowering")
"""Where passes live; named and not imported, since these rooms are above this one."""

Value = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One option of a pass. `default` is its text, or None if the option must be given."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class PassInfo:
    """What is known of a pass without running it.

    summary: the first line of its module's docstring. before, after: the levels of the IR in that
    docstring, None if it names none. A pass that does not change the level may state in a class
    variable `levels` that it works at others as well.
    """

    type: type[ModulePass]
    summary: str
    options: tuple[Option, ...]
    before: str | None
    after: str | None

    @property
    def name(self) -> str:
        return self.type.name

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that the pass is known to work at; empty if nothing is known."""
        stated: tuple[str, ...] = getattr(self.type, "levels", ())
        return stated or (() if self.before is None else (self.before,))

    def level_after(self, level: str) -> str:
        """The level that the pass leaves a module of `level` at."""
        changes = self.before is not None and self.after is not None and self.before != self.after
        return self.after if changes and self.after is not None else level


_LEVEL = re.compile(r'pock\.level = "(\w+)"')


@cache
def all_passes() -> Mapping[str, PassInfo]:
    """Every pass by name, in order of names. Raises ValueError if two share one."""
    found: dict[str, PassInfo] = {}
    for module_name in _module_names():
        for item in _passes_of(module_name):
            if item.name in found:
                raise ValueError(f"two passes are called {item.name}")
            found[item.name] = _describe(item)
    return dict(sorted(found.items()))


def _passes_of(module_name: str) -> list[type[ModulePass]]:
    """The passes that a module itself defines."""
    return [
        item
        for item in vars(import_module(module_name)).values()
        if isinstance(item, type)
        and issubclass(item, ModulePass)
        and item.__module__ == module_name
        and "name" in item.__dict__
    ]


def _module_names() -> Iterator[str]:
    for package_name in PACKAGES:
        package = import_module(package_name)
        yield from sorted(i.name for i in walk_packages(package.__path__, f"{package_name}."))


def _describe(item: type[ModulePass]) -> PassInfo:
    text = import_module(item.__module__).__doc__ or ""
    summary = text.strip().partition("\n\n")[0].replace("\n", " ")
    _, _, after_key = text.partition("\nbefore:")
    before, _, after = after_key.partition("\nafter:")
    return PassInfo(item, summary, _options(item), _level_in(before), _level_in(after))


def _level_in(text: str) -> str | None:
    match = _LEVEL.search(text)
    return None if match is None else match.group(1)


def _options(item: type[ModulePass]) -> tuple[Option, ...]:
    hints = get_type_hints(item)
    return tuple(
        Option(
            field.name.replace("_", "-"),
            _type_text(hints[field.name]),
            None if field.default is MISSING else value_text(field.default),
        )
        for field in fields(item)
        if field.name != "name" and field.init
    )


_TYPES: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    tuple[int, ...]: "integers",
    tuple[float, ...]: "numbers",
    tuple[str, ...]: "texts",
}
"""What an option of a type expects, for messages."""


def _type_text(hint: Any) -> str:
    if hint in _TYPES:
        return _TYPES[hint]
    inner = [kind for kind in get_args(hint) if kind is not NoneType]
    return f"{_TYPES.get(inner[0], str(inner[0]))} or none" if len(inner) == 1 else str(hint)


def pass_named(name: str) -> PassInfo:
    """The pass called `name`. Raises PockError that lists the passes if there is none."""
    found = all_passes()
    if name not in found:
        known = ", ".join(found)
        raise PockError(Diagnostic(f"no pass is called {quote(name)}", help=f"known: {known}"))
    return found[name]


# --- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """A name with options, as written: `name{option=value other=1,2}`."""

    name: str
    options: Mapping[str, tuple[Value, ...]]


_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<mark>[{}=,])|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[^\s{}=,"]+)""",
    re.DOTALL,
)
_INTEGER = re.compile(r"[-+]?\d{1,18}")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_specs(text: str, what: str = "passes") -> tuple[Spec, ...]:
    """The specs in `text`, separated by commas. Raises PockError with the place of a mistake.

    Values are texts in double quotes, words, integers, numbers, true and false; several values of
    one option are separated by commas. An option without a value is true.
    """
    return _SpecReader(text, what).read()


class _SpecReader:
    def __init__(self, text: str, what: str) -> None:
        self._what = what
        self._tokens = list(_tokens(text, what))
        self._at = 0

    def read(self) -> tuple[Spec, ...]:
        specs: list[Spec] = []
        while self._peek() is not None or specs:
            specs.append(Spec(self._word("a name"), self._options()))
            if self._peek() is None:
                break
            self._expect(",")
        return tuple(specs)

    def _peek(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def _next(self) -> tuple[str | None, Value, int]:
        if self._at == len(self._tokens):
            end = self._tokens[-1][2] + 1 if self._tokens else 1
            return None, "", end
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, mark: str) -> bool:
        found = self._peek() == mark
        self._at += found
        return found

    def _expect(self, mark: str) -> None:
        kind, value, column = self._next()
        if kind != mark:
            self._fail(f"expected '{mark}'", kind, value, column)

    def _word(self, what: str) -> str:
        kind, value, column = self._next()
        if kind != "word":
            self._fail(f"expected {what}", kind, value, column)
        return str(value)

    def _fail(self, message: str, kind: str | None, value: Value, column: int) -> None:
        found = "the end" if kind is None else quote(value if kind in ("word", "text") else kind)
        raise _malformed(self._what, column, f"{message}, found {found}")

    def _options(self) -> dict[str, tuple[Value, ...]]:
        options: dict[str, tuple[Value, ...]] = {}
        if not self._accept("{"):
            return options
        while not self._accept("}"):
            name = self._word("an option or '}'")
            if name in options:
                raise _malformed(self._what, self._tokens[self._at - 1][2], f"{name} occurs twice")
            options[name] = self._values() if self._accept("=") else (True,)
        return options

    def _values(self) -> tuple[Value, ...]:
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        return tuple(values)

    def _value(self) -> Value:
        kind, value, column = self._next()
        if kind not in ("word", "text"):
            self._fail("expected a value", kind, value, column)
        return _plain(str(value)) if kind == "word" else value


def _tokens(text: str, what: str) -> Iterator[tuple[str, Value, int]]:
    """Kind (a mark stands for itself), value and column of each token."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _malformed(what, at + 1, "a text without its closing quote")
        if match.lastgroup == "mark":
            yield match.group(), match.group(), at + 1
        elif match.lastgroup == "word":
            yield "word", match.group(), at + 1
        elif match.lastgroup == "text":
            yield "text", _ESCAPE.sub(_unescape, match.group("text")), at + 1
        at = match.end()


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match.group(1) == "n" else match.group(1)


def _malformed(what: str, column: int, message: str) -> PockError:
    return PockError(
        Diagnostic(f"{what}: column {column}: {message}", help="write 'name{option=value},other'")
    )


def _plain(word: str) -> Value:
    if word in ("true", "false"):
        return word == "true"
    if _INTEGER.fullmatch(word):
        return int(word)
    return float(word) if _NUMBER.fullmatch(word) else word


def value_text(value: Any) -> str:
    """The text of an option's value, which `parse_specs` reads back to an equal one."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        # A tuple of base values, by the rules for pass options.
        return ",".join(map(value_text, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return "none" if value is None else repr(value)


def pass_text(passes: Iterable[ModulePass]) -> str:
    """The text of passes, with the options that differ from their defaults."""
    return ",".join(map(_one_text, passes))


def _one_text(action: ModulePass) -> str:
    changed = [
        f"{field.name}={value_text(getattr(action, field.name))}"
        for field in fields(action)
        if field.name != "name" and field.init and getattr(action, field.name) != field.default
    ]
    return f"{action.name}{{{' '.join(changed)}}}" if changed else action.name


def parse_passes(text: str) -> tuple[ModulePass, ...]:
    """The passes that `text` names. Raises PockError with everything that is wrong with it."""
    return tuple(build_pass(spec) for spec in parse_specs(text))


def build_pass(spec: Spec) -> ModulePass:
    """The pass that `spec` describes.

    Raises PockError for an unknown pass or option, a missing option, and a value of a wrong type.
    """
    info = pass_named(spec.name)
    known = {option.name.replace("-", "_"): option for option in info.options}
    given = {name.replace("-", "_"): values for name, values in spec.options.items()}
    for name in given:
        if name not in known:
            listed = ", ".join(o.name for o in info.options) or "none"
            message = f"pass {spec.name} has no option {quote(name)}"
            raise PockError(Diagnostic(message, help=f"its options: {listed}"))
    hints = get_type_hints(info.type)
    values: dict[str, Any] = {}
    for name, option in known.items():
        if name in given:
            values[name] = _fitting(spec.name, option, given[name], hints[name])
        elif option.default is None:
            raise PockError(f"pass {spec.name} needs its option {option.name}")
    return info.type(**values)


def _fitting(name: str, option: Option, values: tuple[Value, ...], hint: Any) -> Any:
    """`values` as the type `hint`. Raises PockError if they do not fit."""
    for kind in get_args(hint) if get_origin(hint) is UnionType else (hint,):
        if kind is NoneType and values == ("none",):
            return None
        if get_origin(kind) is tuple:
            members = [_as(value, get_args(kind)[0]) for value in values]
            if None not in members:
                return tuple(members)
        elif len(values) == 1 and _as(values[0], kind) is not None:
            return _as(values[0], kind)
    shown = ",".join(map(value_text, values))
    raise PockError(f"pass {name}: option {option.name} should be {option.type}, not {shown}")


def _as(value: Value, kind: Any) -> Value | None:
    """`value` as a `kind`, or None if it is of another; an integer is a number too."""
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else None
