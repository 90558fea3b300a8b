"""Finds where a program stops or replaces gradients, which the IR cannot say.

Decomposition turns `detach` into a plain alias, inlines the body of `torch.no_grad()` and keeps
only the forward of a `torch.autograd.Function`. Autodiff would then send gradients where PyTorch
sends none, or other ones. So the program as traced is searched for them; each that a gradient
would pass on its way to a parameter is refused in training. Elsewhere (masks, positions,
constants) they change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Node

from pock.frontends.torch.source import describe_frame, diagnose, first_frame
from pock_ir.diagnostics import Diagnostic

HELP_STOP = "compute it outside of the model and pass it as an input, or remove the stop"
HELP_FUNCTION = "write its forward with PyTorch operators that have the wanted gradient"

_DETACH = (torch.ops.aten.detach.default, torch.ops.aten.detach_.default)
_GRAD_MODE = "wrap_with_set_grad_enabled"


def gradient_stops(program: ExportedProgram, active_inputs: int = 0) -> list[Diagnostic]:
    """A diagnostic for each float that depends on a trainable parameter and has no gradient.

    program: as torch.export traced it, before decomposition. active_inputs: how many of its first
    inputs carry gradients as parameters do.
    """
    inputs = list(program.graph_signature.user_inputs)
    trainable = _trainable(program) | set(map(str, inputs[:active_inputs]))
    depends: set[Node] = set()
    found: list[Diagnostic] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name in trainable:
                depends.add(node)
            continue
        if not any(argument in depends for argument in node.all_input_nodes):
            continue
        stop = _describe_stop(program, node)
        if stop is None:
            depends.add(node)
        elif node.users and _has_float(node):
            found.append(stop)
    return found


def _trainable(program: ExportedProgram) -> set[str]:
    """The graph's names of the parameters that require a gradient."""
    specs = [s for s in program.graph_signature.input_specs if s.kind == InputKind.PARAMETER]
    return {s.arg.name for s in specs if program.state_dict[str(s.target)].requires_grad}


def _describe_stop(program: ExportedProgram, node: Node) -> Diagnostic | None:
    """Why no gradient passes `node`, or None if one does."""
    if node.target in _DETACH:
        return diagnose("detach stops a gradient, which is not supported", node, HELP_STOP)
    if getattr(node.target, "__name__", "") == _GRAD_MODE and node.args[0] is False:
        body: Any = getattr(program.graph_module, str(node.all_input_nodes[0].target))
        frame = first_frame([*body.graph.nodes, *node.users])
        message = "torch.no_grad() stops a gradient, which is not supported"
        return Diagnostic(message, describe_frame(frame), HELP_STOP)
    return None


def _has_float(node: Node) -> bool:
    """Whether a result of `node` that somebody reads is a float."""
    value = node.meta.get("val")
    if not isinstance(value, list | tuple):
        return _is_float(value)
    return any(_is_float(user.meta.get("val")) for user in node.users)


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype.is_floating_point


@contextmanager
def refused_functions(report: Callable[[str], None]) -> Iterator[None]:
    """While active, `report` is called with the name of each torch.autograd.Function applied.

    torch.export records nothing of them, so their entry point is watched. Functions of PyTorch
    itself are left alone.
    """
    function: Any = torch.autograd.Function
    original = function.__dict__["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch."):
            report(cls.__qualname__)
        return original.__get__(None, cls)(*args, **kwargs)

    function.apply = classmethod(apply)
    try:
        yield
    finally:
        function.apply = original
