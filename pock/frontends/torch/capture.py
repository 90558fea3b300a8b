"""From a module to an exported graph whose operators the importer's table knows.

The form: torch.export (not strict), then PyTorch's default decompositions without those of
operators that have a handler. So linear, conv2d, layer_norm, attention, gelu, softmax and cross
entropy stay whole, while aliases (masked_fill, new_ones, chunk, einsum ...) disappear.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram, default_decompositions, export
from torch.nn.modules.batchnorm import _BatchNorm

from pock.frontends.common.refusal import first_line
from pock.frontends.torch.gradient_stops import HELP_FUNCTION, gradient_stops, refused_functions
from pock.frontends.torch.source import describe_frame, error_frame, running_frame
from pock.frontends.torch.table import handlers
from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError

HELP_TRACE = "the model must be traceable by torch.export; see its documentation for the rules"


@dataclass(frozen=True)
class Example:
    """Example inputs of one call: their shapes and dtypes are what is compiled."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def capture_module(
    module: nn.Module, example: Example, *, training: bool, what: str, active_inputs: int = 0
) -> ExportedProgram:
    """Trace `module` in its present mode and decompose the graph.

    training: gradients will be taken, so places that stop or replace them are refused.
    what: what messages call the module.
    active_inputs: how many of the first inputs carry gradients, as outputs do into a loss.
    Raises PockError with everything that was found.
    """
    errors = DiagnosticCollector()
    if training:
        _check_modules(module, errors)
        errors.raise_if_any()

    def report(name: str) -> None:
        message = f"torch.autograd.Function {name} defines its own gradient, which is not supported"
        errors.add(message, describe_frame(running_frame()), HELP_FUNCTION)

    with _quiet(), refused_functions(report if training else _ignore):
        traced = _translated(
            lambda: export(module, example.args, dict(example.kwargs), strict=False), what
        )
    if training:
        for diagnostic in gradient_stops(traced, active_inputs):
            errors.add(diagnostic.message, diagnostic.location, diagnostic.help)
    errors.raise_if_any()
    return decompose(traced, what)


def decompose(program: ExportedProgram, what: str) -> ExportedProgram:
    """`program` with every operator that has no handler decomposed. Raises PockError."""
    table = default_decompositions()
    for target in handlers():
        table.pop(target, None)
    with _quiet():
        decomposed = _translated(lambda: program.run_decompositions(table), what)
    _leave_out_empty_parts(decomposed)
    return decomposed


def _leave_out_empty_parts(program: ExportedProgram) -> None:
    """Concatenate only tensors that have elements: an attention cache has none at its start."""
    for node in program.graph.find_nodes(op="call_function", target=torch.ops.aten.cat.default):
        parts, *rest = node.args
        filled = [part for part in parts if part.meta["val"].numel() > 0]
        if filled:
            node.args = (filled, *rest)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """`module` and all inside it in eval mode; the flags of each are restored at the end.

    The flags are set directly: a `train` method that was overridden may do more, such as merging
    weights, and the model must not change.
    """
    flags = [(inner, inner.training) for inner in module.modules()]
    try:
        for inner, _ in flags:
            inner.training = False
        yield
    finally:
        for inner, training in flags:
            inner.training = training


def _ignore(_: str) -> None:
    """Without gradients the forward of a function is all that counts."""


def _check_modules(module: nn.Module, errors: DiagnosticCollector) -> None:
    """Refuse what tracing would lose or could not follow, by module name."""
    for name, inner in module.named_modules():
        where = f"module {name or 'model'}"
        cumulative = isinstance(inner, _BatchNorm) and inner.momentum is None
        if cumulative and inner.training and inner.track_running_stats:
            errors.add(
                f"{where}: batch norm with momentum=None (a cumulative average) is not supported",
                help="give it a momentum, or freeze the layer with eval()",
            )
        if inner._backward_hooks or inner._backward_pre_hooks:
            errors.add(
                f"{where}: a backward hook changes gradients, which is not supported",
                help="remove the hook before compiling",
            )


def _translated(trace: Callable[[], ExportedProgram], what: str) -> ExportedProgram:
    """Run `trace`; whatever PyTorch or the model raises becomes a PockError at the user's line."""
    try:
        return trace()
    except Exception as error:
        message = f"torch.export cannot trace {what}: {first_line(error)}"
        place = describe_frame(error_frame(error))
        raise PockError(Diagnostic(message, place, HELP_TRACE)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch from logging graphs of failed traces: the error says what is needed."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        # torch.export copies pytree specs in a way that its own library warns about.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*treespec.*", FutureWarning)
            yield
    finally:
        logging.disable(before)
