"""Costly operators, and those without a handler, are computed while importing on fixed data.

Rotary position embeddings take sines of constants; relative positions count and sort them. If all
that such an operator reads is a constant of the program (a tensor in forward, a buffer that is not
saved) or made of nothing (arange), its result is a constant too, and becomes one with data.
Other operators with a handler stay in the graph, where they fuse and take no memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Node
from torch.fx.node import map_arg

from pock.frontends.torch.table import DTYPE_NAMES, handlers

RANDOM = torch.Tag.nondeterministic_seeded

_aten = torch.ops.aten
COSTLY = frozenset(
    (_aten.cos.default, _aten.sin.default, _aten.pow.Scalar, _aten.pow.Tensor_Tensor)
)
"""Functions that take longer to compute in every step than their values to load."""


def folded_constants(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """The graph's names of nodes that can be constants -> their values.

    program: decomposed. Only nodes are given that are costly, have no handler, or read what no
    program can hold.
    """
    known = _constants(program)
    fixed = _fixed_nodes(program, known)
    values: dict[Node, Any] = {}
    folded: dict[str, torch.Tensor] = {}
    for node in program.graph.nodes:
        if node not in fixed or node.op == "placeholder" or _is_cheap(node):
            continue
        if _is_carried(node):
            folded[node.name] = _evaluate(node, known, values)
    return folded


def _is_cheap(node: Node) -> bool:
    """Whether the device can compute it, and may as well."""
    known = node.target in handlers() and node.target not in COSTLY
    return known and all(map(_is_carried, node.all_input_nodes))


def _is_carried(node: Node) -> bool:
    """Whether the value of `node` is a tensor that a program can hold.

    Complex numbers and bytes are not, but what is computed of fixed ones may be.
    """
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.dtype in DTYPE_NAMES and value.numel() > 0


def _constants(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """The graph's names of placeholders that never change -> their data."""
    mutated = set(program.graph_signature.buffers_to_mutate.values())
    found: dict[str, torch.Tensor] = {}
    for spec in program.graph_signature.input_specs:
        unsaved = spec.kind == InputKind.BUFFER and spec.persistent is False
        if spec.kind == InputKind.CONSTANT_TENSOR or (unsaved and spec.target not in mutated):
            value = program.constants.get(str(spec.target))
            if isinstance(value, torch.Tensor):
                found[spec.arg.name] = value.detach()
    return found


def _fixed_nodes(program: ExportedProgram, known: dict[str, torch.Tensor]) -> set[Node]:
    """The nodes that depend on constants only, and on no random numbers."""
    fixed: set[Node] = set()
    for node in program.graph.nodes:
        if node.op == "placeholder":
            is_fixed = node.name in known
        else:
            draws = RANDOM in getattr(node.target, "tags", ())
            is_call = node.op == "call_function" and not draws
            is_fixed = is_call and all(source in fixed for source in node.all_input_nodes)
        if is_fixed:
            fixed.add(node)
    return fixed


def _evaluate(node: Node, known: dict[str, torch.Tensor], values: dict[Node, Any]) -> Any:
    """The value of a fixed node, computed by PyTorch; what it reads is computed first."""
    stack = [node]
    while stack:
        top = stack[-1]
        missing = [source for source in top.all_input_nodes if source not in values]
        if missing:
            stack.extend(missing)
        else:
            values[stack.pop()] = _value(top, known, values)
    return values[node]


def _value(node: Node, known: dict[str, torch.Tensor], values: dict[Node, Any]) -> Any:
    if node.op == "placeholder":
        return known[node.name]
    args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
    with torch.no_grad():
        return node.target(*args, **kwargs)  # pyright: ignore[reportCallIssue] - call_function
