"""optax transformations as pock's optimizers.

An optax optimizer is a chain of functions that hold their options in closures. They are read from
there; a link of the chain, an option or a schedule that pock has no equivalent of is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer

HELP = "give pock.SGD, Adam, AdamW or Lion, or optax.sgd, adam, adamw or lion"


@dataclass(frozen=True)
class Link:
    """One transformation of a chain: optax's name for it, and its options."""

    name: str
    options: Mapping[str, Any]


NO_EFFECT = ("identity",)

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "scale": {},
    "add_decayed_weights": {},
    "trace": {"accumulator_dtype": None},
    "scale_by_adam": {"eps_root": 0.0, "mu_dtype": None, "nesterov": False},
    "scale_by_lion": {"mode": "hard", "mu_dtype": None, "smooth_beta": 1.0},
}
"""Links that pock knows -> options that must have these values."""


def from_optax(transformation: Any) -> Optimizer:
    """The optimizer that does what `transformation` would.

    optax.sgd, adam, adamw and lion with numbers as options, alone or made of their parts; weight
    decay before them (`optax.chain(optax.add_decayed_weights(d), optax.sgd(r))`) is the L2 penalty.
    Raises PockError for anything else, with what it is: schedules, clipping, masks, other links.
    """
    links = [link for link in _links(transformation.update) if link.name not in NO_EFFECT]
    problems = [problem for link in links for problem in _problems(link)]
    if problems:
        raise PockError(*(Diagnostic(problem, help=HELP) for problem in problems))
    return _match(links)


def _links(update: Any) -> list[Link]:
    """The links of a chain, in order."""
    name = getattr(update, "__qualname__", type(update).__name__).split(".")[0]
    held = _closure(update)
    if name == "chain":
        return [link for inner in held.get("update_fns", ()) for link in _links(inner)]
    if name == "with_extra_args_support":
        return _links(held["tx"].update)
    return [Link(name, held)]


def _closure(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or cells is None:
        return {}
    return {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}


def _problems(link: Link) -> Sequence[str]:
    if link.name == "scale_by_schedule":
        return ["a learning rate that changes by a schedule is not supported: the rate is an "
                "argument of every step"]  # fmt: skip
    if link.name not in DEFAULTS:
        return [f"optax.{quote(link.name)[1:-1]} is not supported"]
    wanted = DEFAULTS[link.name]
    found: list[str] = []
    for option, value in link.options.items():
        if option in wanted and value != wanted[option]:
            found.append(f"optax.{link.name} with {option}={value!r} is not supported")
        elif option not in wanted and not isinstance(value, bool | int | float):
            found.append(f"optax.{link.name}: {option} should be a number")
    return found


def _match(links: Sequence[Link]) -> Optimizer:
    """The optimizer whose chain `links` are. Raises PockError if there is none."""
    names = tuple(link.name for link in links)
    builder = CHAINS.get(names)
    rate = -links[-1].options.get("step_size", 0.0) if links else 0.0
    if builder is None or rate < 0.0:
        shown = ", ".join(names) or "nothing"
        raise PockError(Diagnostic(f"the optax chain of {shown} is not supported", help=HELP))
    by_name = {link.name: link.options for link in links}
    return builder(float(rate), by_name)


Options = Mapping[str, Mapping[str, Any]]


def _decay(options: Options) -> float:
    return float(options.get("add_decayed_weights", {}).get("weight_decay", 0.0))


def _sgd(rate: float, options: Options) -> Optimizer:
    trace = options.get("trace", {})
    return SGD(
        rate,
        momentum=float(trace.get("decay", 0.0)),
        nesterov=bool(trace.get("nesterov", False)),
        weight_decay=_decay(options),
    )


def _adam(rate: float, options: Options, kind: type[Adam] = Adam) -> Optimizer:
    adam = options["scale_by_adam"]
    betas = (float(adam["b1"]), float(adam["b2"]))
    return kind(rate, betas=betas, eps=float(adam["eps"]), weight_decay=_decay(options))


def _adamw(rate: float, options: Options) -> Optimizer:
    return _adam(rate, options, AdamW)


def _lion(rate: float, options: Options) -> Optimizer:
    lion = options["scale_by_lion"]
    betas = (float(lion["b1"]), float(lion["b2"]))
    return Lion(rate, betas=betas, weight_decay=_decay(options))


CHAINS: Mapping[tuple[str, ...], Callable[[float, Options], Optimizer]] = {
    ("scale",): _sgd,
    ("trace", "scale"): _sgd,
    ("add_decayed_weights", "scale"): _sgd,
    ("add_decayed_weights", "trace", "scale"): _sgd,
    ("scale_by_adam", "scale"): _adam,
    ("add_decayed_weights", "scale_by_adam", "scale"): _adam,
    ("scale_by_adam", "add_decayed_weights", "scale"): _adamw,
    ("scale_by_lion", "scale"): _lion,
    ("scale_by_lion", "add_decayed_weights", "scale"): _lion,
}
"""The links of a chain -> how pock's optimizer is made of their options."""
