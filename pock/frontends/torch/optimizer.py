"""torch optimizers as pock's: the same formulas and options, one group of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Optimizer

OPTIONS: Mapping[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: ("lr", "momentum", "dampening", "weight_decay", "nesterov"),
    torch.optim.Adam: ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay"),
    torch.optim.AdamW: ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay"),
}
"""The options that change an optimizer's results, besides those that are refused."""

REFUSED = ("amsgrad", "maximize")

# foreach, fused, capturable and differentiable choose how torch computes, not what.


def from_torch(optimizer: Any) -> Optimizer:
    """The optimizer that does what this torch.optim.SGD, Adam or AdamW would.

    Which parameters are trained is the update scheme's business, not the optimizer's. Raises
    PockError for another optimizer, amsgrad, maximize, groups that differ, and one that has
    taken steps already: its state would be lost.
    """
    kind = type(optimizer)
    if kind not in OPTIONS:
        known = ", ".join(f"torch.optim.{item.__name__}" for item in OPTIONS)
        raise PockError(Diagnostic(f"{quote(kind.__name__)} is not supported", help=f"use {known}"))
    problems = DiagnosticCollector()
    groups: list[dict[str, Any]] = optimizer.param_groups
    _check_groups(groups, OPTIONS[kind], problems)
    for option in REFUSED:
        if any(group.get(option) for group in groups):
            problems.add(f"torch.optim.{kind.__name__} with {option} is not supported")
    if optimizer.state:
        problems.add(
            "the optimizer has taken steps already, and its state cannot be taken over",
            help="give a new optimizer",
        )
    problems.raise_if_any()
    return _convert(kind, {option: _plain(groups[0][option]) for option in OPTIONS[kind]})


def _check_groups(
    groups: list[dict[str, Any]], options: tuple[str, ...], problems: DiagnosticCollector
) -> None:
    for option in (*options, *REFUSED):
        values = {_plain(group.get(option)) for group in groups}
        if len(values) > 1:
            problems.add(
                f"the groups of parameters differ in {option}",
                help="all trained parameters share one set of options",
            )


def _plain(value: Any) -> Any:
    """Numbers instead of tensors of one element."""
    if isinstance(value, tuple | list):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, torch.Tensor) else value


def _convert(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> Optimizer:
    if kind is torch.optim.SGD:
        return SGD(**options)
    decoupled = options.pop("decoupled_weight_decay")
    return AdamW(**options) if decoupled else Adam(**options)
