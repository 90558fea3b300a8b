"""Optimizers as text, and the values that each has where none are given.

`adam`, or `adam{lr=0.001 beta1=0.95}`: a name of `DEFAULTS` with `lr` and options of the pass
add-optimizer. What is not given is as in Python: `adamw` is `pock.AdamW()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer
from pock_ir.registry import Spec, Value, build_pass, parse_specs, value_text

DEFAULTS: Mapping[str, Optimizer] = {
    "sgd": SGD(lr=0.01),
    "momentum": SGD(lr=0.01, momentum=0.9),
    "nesterov": SGD(lr=0.01, momentum=0.9, nesterov=True),
    "adam": Adam(),
    "adamw": AdamW(),
    "lion": Lion(),
}
"""The optimizer of each name where no option is given."""

_MOMENTUM = ("momentum", "dampening", "weight_decay")
_ADAM = ("beta1", "beta2", "eps", "eps_before_correction", "weight_decay")

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("weight_decay",),
    "momentum": _MOMENTUM,
    "nesterov": ("momentum", "weight_decay"),
    "adam": _ADAM,
    "adamw": _ADAM,
    "lion": ("beta1", "beta2", "weight_decay"),
}
"""The options of the pass add-optimizer that each optimizer reads, besides its rate `lr`."""


def parse_optimizer(text: str) -> Optimizer:
    """The optimizer that `text` describes.

    Raises PockError for an unknown name, for options that the optimizer does not have, and for
    values of a wrong type or out of their range.
    """
    specs = parse_specs(text, "optimizer")
    if len(specs) != 1 or specs[0].name not in DEFAULTS:
        known = ", ".join(DEFAULTS)
        raise PockError(Diagnostic(f"no optimizer is called {quote(text)}", help=f"known: {known}"))
    name = specs[0].name
    given = {option.replace("-", "_"): values for option, values in specs[0].options.items()}
    _check_options(name, given)
    rate = _rate(name, given.pop("lr", (DEFAULTS[name].lr,)))
    # The pass checks the types of the values; what is not given comes from the defaults.
    checked = build_pass(Spec("add-optimizer", {**given, "optimizer": (name,)}))
    changes = {option: getattr(checked, option) for option in given}
    return replace(DEFAULTS[name].to_pass(), **changes).user_facing(rate)


def optimizer_text(optimizer: Optimizer) -> str:
    """The text that `parse_optimizer` reads back to `optimizer`."""
    made = optimizer.to_pass()
    name = made.optimizer
    default = DEFAULTS[name].to_pass()
    changed = {
        option: getattr(made, option)
        for option in OPTIONS[name]
        if getattr(made, option) != getattr(default, option)
    }
    options = {"lr": float(optimizer.lr), **changed}
    return f"{name}{{{' '.join(f'{key}={value_text(value)}' for key, value in options.items())}}}"


def _check_options(name: str, given: Mapping[str, tuple[Value, ...]]) -> None:
    problems = DiagnosticCollector()
    known = ("lr", *OPTIONS[name])
    for option in given:
        if option not in known:
            message = f"optimizer {name} has no option {quote(option)}"
            problems.add(message, help=f"its options: {', '.join(known)}")
    problems.raise_if_any()


def _rate(name: str, values: tuple[Value, ...]) -> float:
    if len(values) != 1 or isinstance(values[0], bool | str):
        shown = ",".join(map(value_text, values))
        raise PockError(f"optimizer {name}: lr should be a number, not {shown}")
    return float(values[0])
