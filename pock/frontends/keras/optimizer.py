"""Keras optimizers as pock's: the same formulas and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer

REFUSED: Mapping[str, Any] = {
    "amsgrad": False,
    "clipnorm": None,
    "clipvalue": None,
    "ema_overwrite_frequency": None,
    "global_clipnorm": None,
    "gradient_accumulation_steps": None,
    "loss_scale_factor": None,
    "use_ema": False,
}
"""Options that change results -> the values that pock has."""

EXCLUDED = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
"""Where an optimizer keeps the variables that its weight decay leaves out."""


def from_keras(optimizer: Any) -> Optimizer:
    """The optimizer that does what this keras.optimizers.SGD, Adam, AdamW or Lion would.

    Keras adds epsilon before the bias is corrected, and weight decay always shrinks the parameter.
    Its momentum holds the learning rate of the step that it was made in, pock's does not: the two
    are the same as long as the rate is. Raises PockError for another optimizer, a schedule, an
    option of `REFUSED`, and one that has taken steps already: its state would be lost.
    """
    kind = type(optimizer).__name__
    if kind not in BUILDERS:
        known = ", ".join(f"keras.optimizers.{name}" for name in BUILDERS)
        raise PockError(Diagnostic(f"{quote(kind)} is not supported", help=f"use {known}"))
    config: dict[str, Any] = optimizer.get_config()
    problems = DiagnosticCollector()
    for option, wanted in REFUSED.items():
        if config.get(option, wanted) != wanted:
            problems.add(f"keras.optimizers.{kind} with {option} is not supported")
    if not isinstance(config["learning_rate"], float):
        problems.add(
            "a learning rate that changes by a schedule is not supported",
            help="give a number: the rate is an argument of every step",
        )
    if any(getattr(optimizer, name, None) for name in EXCLUDED):
        problems.add("variables that are excluded from weight decay are not supported")
    if int(optimizer.iterations) > 0:
        problems.add(
            "the optimizer has taken steps already, and its state cannot be taken over",
            help="give a new optimizer",
        )
    problems.raise_if_any()
    return BUILDERS[kind](config)


def _sgd(config: Mapping[str, Any]) -> Optimizer:
    momentum, decay = float(config["momentum"]), float(config["weight_decay"] or 0.0)
    if momentum and decay:
        raise PockError(
            Diagnostic(
                "keras.optimizers.SGD with momentum and weight_decay is not supported",
                help="its decay is decoupled: use AdamW, or one of the two",
            )
        )
    # Without momentum, decay of the parameter and decay in the gradient are the same.
    nesterov = bool(config["nesterov"]) and momentum > 0
    return SGD(config["learning_rate"], momentum, nesterov=nesterov, weight_decay=decay)


def _adam(config: Mapping[str, Any]) -> Optimizer:
    betas = (float(config["beta_1"]), float(config["beta_2"]))
    rate, eps, decay = config["learning_rate"], float(config["epsilon"]), config["weight_decay"]
    if decay is None:
        return Adam(rate, betas, eps, eps_before_correction=True)
    return AdamW(rate, betas, eps, float(decay), eps_before_correction=True)


def _lion(config: Mapping[str, Any]) -> Optimizer:
    betas = (float(config["beta_1"]), float(config["beta_2"]))
    return Lion(config["learning_rate"], betas, float(config["weight_decay"] or 0.0))


BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], Optimizer]] = {
    "Adam": _adam,
    "AdamW": _adam,
    "Lion": _lion,
    "SGD": _sgd,
}
