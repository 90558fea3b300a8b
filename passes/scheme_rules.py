"""Update schemes: which parameters are trained, by rules over their names and roles.

Source: the sparse layer and sparse tensor update of PockEngine (arXiv 2310.17752) and of
Tiny Training Engine (arXiv 2206.15472, section 3.2).
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Attribute

from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.passes.network import Network, Parameter
from pock_ir.passes.trained import TrainedSlice

Axis: TypeAlias = Literal["input", "output"]
AXES: tuple[Axis, ...] = ("input", "output")
NAMES_SHOWN = 3
"""How many parameter names a message lists."""

PATTERN_LIMIT = 500
"""The most characters of a pattern: none that a person writes is longer."""


@dataclass(frozen=True)
class Rule:
    """Whether, and how much of, some parameters are trained.

    parameters: which ones, by a pattern over their names (see `matcher`). within: only those
    that match this second pattern too. ratio: the part of the channels that is trained, the
    first ceil(ratio * channels) of `axis`; below 1 only for weights of linears and convolutions.
    """

    parameters: str
    train: bool = True
    ratio: float = 1.0
    axis: Axis = "input"
    within: str | None = None

    def problems(self) -> Iterable[str]:
        """What is wrong with this rule, whatever the network."""
        if not 0.0 < self.ratio <= 1.0:
            yield f"ratio should be above 0 and at most 1, not {self.ratio}"
        if self.axis not in AXES:
            yield f'axis should be "input" or "output", not {quote(self.axis)}'
        if not self.train and self.ratio != 1.0:
            yield "a rule that trains nothing has no ratio"
        for pattern in filter(None, (self.parameters, self.within)):
            yield from _pattern_problems(pattern)


@dataclass(frozen=True)
class Scheme:
    """Rules that are applied in order: of those that match a parameter, the last one decides.

    A parameter that no rule matches is frozen. frozen: names of parameters that no rule can
    train, such as those for which the framework wants no gradient; they need not exist.
    source: the file that messages name.
    Raises PockError that lists everything that is wrong with the rules.
    """

    rules: tuple[Rule, ...]
    source: str | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = DiagnosticCollector()
        for index, rule in enumerate(self.rules):
            for problem in rule.problems():
                problems.add(f"rules[{index}]: {problem}", self.source)
        if not self.rules:
            problems.add("a scheme needs at least one rule", self.source)
        problems.raise_if_any()

    @staticmethod
    def full() -> Scheme:
        """Every parameter is trained."""
        return Scheme((Rule("*"),))

    @staticmethod
    def head() -> Scheme:
        """Only the last layer is trained; see `network` for what the head is."""
        return Scheme((Rule("@head"),))

    @staticmethod
    def last_k_blocks(k: int) -> Scheme:
        """The head and all of the last k blocks; see `network` for what a block is."""
        return Scheme((Rule(f"@last:{k}"), Rule("@head")))

    @staticmethod
    def bias_only() -> Scheme:
        """The head and every bias, those of normalisations included, as in TinyTL and BitFit."""
        return Scheme((Rule("@bias"), Rule("@head")))

    @staticmethod
    def sparse(bias_blocks: int, weights: Mapping[str, float], axis: Axis = "input") -> Scheme:
        """The shape of PockEngine's schemes.

        The head, the biases of the last `bias_blocks` blocks, and the first pointwise weight of
        each block that `weights` names, at the ratio given there.
        """
        biases = (Rule("@bias", within=f"@last:{bias_blocks}"),) if bias_blocks else ()
        chosen = tuple(
            Rule("@first-pointwise", ratio=ratio, axis=axis, within=f"@block:{block}")
            for block, ratio in weights.items()
        )
        return Scheme((*biases, *chosen, Rule("@head")))

    def document(self) -> dict[str, Any]:
        """The scheme as JSON would hold it, without the usual values and without `source`."""
        rules = [
            {
                key: value
                for key, value in vars(rule).items()
                if key == "parameters" or value != getattr(_USUAL, key)
            }
            for rule in self.rules
        ]
        return {"rules": rules, **({"frozen": list(self.frozen)} if self.frozen else {})}

    def to_json(self, indent: int | None = None) -> str:
        """The text that `scheme_file.parse_json` reads back."""
        return json.dumps(self.document(), indent=indent)


_USUAL = Rule("*")


Matcher: TypeAlias = Callable[[Parameter], bool]


def matcher(pattern: str, network: Network) -> Matcher:
    """Which parameters `pattern` means.

    - a glob over the whole name, in which * also matches dots: "features.3.*";
    - "re:" and a regular expression over the whole name;
    - "@head", "@bias", "@first-pointwise", "@block:NAME" (a glob over blocks) or "@last:K" (the
      last K blocks), as `network` defines them.

    Raises ValueError with the reason if the network has no such thing.
    """
    if pattern.startswith("re:"):
        expression = re.compile(pattern.removeprefix("re:"))
        return lambda parameter: expression.fullmatch(parameter.name) is not None
    word, _, argument = pattern.partition(":")
    if word == "@last":
        return _in_blocks(_last_blocks(int(argument), network))
    if word == "@block":
        return _in_blocks(_named_blocks(argument, network))
    if word in _ROLES:
        return _ROLES[word]
    return lambda parameter: fnmatchcase(parameter.name, pattern)


_ROLES: Mapping[str, Matcher] = {
    "@bias": lambda parameter: parameter.is_bias,
    "@first-pointwise": lambda parameter: parameter.is_first_pointwise,
    "@head": lambda parameter: parameter.is_head,
}


def _in_blocks(blocks: Iterable[str]) -> Matcher:
    chosen = frozenset(blocks)
    return lambda parameter: parameter.block in chosen


def _last_blocks(count: int, network: Network) -> list[str]:
    if count > len(network.blocks):
        raise ValueError(f"it asks for {count} blocks, but the network has {len(network.blocks)}")
    return network.blocks[len(network.blocks) - count :]


def _named_blocks(pattern: str, network: Network) -> list[str]:
    blocks = [block for block in network.blocks if fnmatchcase(block, pattern)]
    if not blocks:
        raise ValueError(f"there is no block {quote(pattern)}{_near(pattern, network.blocks)}")
    return blocks


def _pattern_problems(pattern: str) -> Iterable[str]:
    """What is wrong with a pattern, whatever the network."""
    word, colon, argument = pattern.partition(":")
    if len(pattern) > PATTERN_LIMIT:
        yield f"a pattern should have at most {PATTERN_LIMIT} characters, not {len(pattern)}"
    elif word == "re":
        try:
            re.compile(argument)
        except re.error as error:
            yield f"{quote(argument)} is not a regular expression: {error}"
    elif word == "@last":
        if re.fullmatch("[1-9][0-9]{0,5}", argument) is None:
            yield f"{quote(pattern)} should name a number of blocks, like '@last:2'"
    elif word == "@block":
        if not argument:
            yield f"{quote(pattern)} should name a block, like '@block:features.3'"
    elif word.startswith("@") and (word not in _ROLES or colon):
        known = ", ".join([*_ROLES, "@block:NAME", "@last:K"])
        yield f"there is no {quote(pattern)}; known are {known}"


def _near(pattern: str, names: Iterable[str]) -> str:
    """A hint that lists the names that look like `pattern`, or nothing."""
    close = difflib.get_close_matches(pattern, list(names), n=NAMES_SHOWN, cutoff=0.5)
    return f"; near misses: {', '.join(map(quote, close))}" if close else ""


Marks: TypeAlias = Mapping[str, Attribute]


def resolve(scheme: Scheme, network: Network) -> Marks:
    """The mark of each trained parameter, by name, in the network's order.

    Raises PockError that lists every rule that matches nothing or cannot be applied, and if
    nothing is trained at all.
    """
    problems = DiagnosticCollector()
    chosen: dict[str, Rule] = {}
    frozen = frozenset(scheme.frozen)
    candidates = [p for p in network.parameters if p.is_float and p.name not in frozen]
    for index, rule in enumerate(scheme.rules):
        try:
            for parameter in _matched(rule, candidates, network):
                chosen[parameter.name] = rule
        except ValueError as error:
            problems.add(f"rules[{index}] ({quote(rule.parameters)}): {error}", scheme.source)
    trained = [p for p in network.parameters if p.name in chosen and chosen[p.name].train]
    if not trained and not problems:
        problems.add("the scheme trains no parameter", scheme.source)
    problems.raise_if_any()
    return {parameter.name: _mark(parameter, chosen[parameter.name]) for parameter in trained}


def _matched(rule: Rule, candidates: list[Parameter], network: Network) -> list[Parameter]:
    """The candidates that `rule` means. Raises ValueError if it means none, or too many."""
    tests = [matcher(rule.parameters, network)]
    if rule.within is not None:
        tests.append(matcher(rule.within, network))
    matched = [p for p in candidates if all(test(p) for test in tests)]
    if not matched:
        raise ValueError(_nothing_matches(rule, [p.name for p in candidates]))
    odd = [p.name for p in matched if rule.ratio < 1.0 and rule.axis not in p.channels]
    if odd:
        names = ", ".join(map(quote, odd[:NAMES_SHOWN])) + (", ..." if odd[NAMES_SHOWN:] else "")
        raise ValueError(
            f"a ratio below 1 needs weights of linears or convolutions with {rule.axis}"
            f" channels, which these have not: {names}"
        )
    return matched


def _nothing_matches(rule: Rule, names: list[str]) -> str:
    within = "" if rule.within is None else f" within {quote(rule.within)}"
    is_glob = not rule.parameters.startswith(("@", "re:"))
    return f"it matches no parameter{within}" + (_near(rule.parameters, names) if is_glob else "")


def _mark(parameter: Parameter, rule: Rule) -> Attribute:
    """A unit attribute, or the slice of the first ceil(ratio * channels) channels."""
    if rule.ratio == 1.0:
        return UnitAttr()
    channels = parameter.channels[rule.axis]
    # 0.1 * 30 is a little more than 3; a millionth of a channel is no channel.
    size = max(1, math.ceil(rule.ratio * channels.count - 1e-6)) * channels.unit
    if size == channels.count * channels.unit:
        return UnitAttr()
    return TrainedSlice(channels.axis, 0, size).attribute()
