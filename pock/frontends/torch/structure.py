"""Names for the tensors inside nested inputs, targets and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from pock.frontends.common.refusal import Refusal
from pock.frontends.torch.table import (
    tensor_type_of,
)
from pock_ir.diagnostics import PockError, quote
from pock_ir.types import Tensor


@dataclass(frozen=True)
class Leaf:
    """One tensor of a structure: its name here, its name in the graph, and its type."""

    name: str
    node: str
    type: Tensor


def input_leaves(program: ExportedProgram) -> list[Leaf]:
    """The tensors that the program takes, named after forward's arguments ("x", "batch_image").

    Raises PockError for an element type or shape that pock does not carry.
    """
    nodes = {node.name: node for node in program.graph.nodes}
    specs = program.graph_signature.input_specs
    names = [s.arg.name for s in specs if s.kind == InputKind.USER_INPUT and s.arg.name in nodes]
    tensors = [name for name in names if isinstance(nodes[name].meta.get("val"), torch.Tensor)]
    return [_leaf(name, name, nodes[name].meta["val"], "input") for name in tensors]


def output_leaves(program: ExportedProgram) -> list[Leaf]:
    """The tensors that the program returns: "output", "output.0", or keys such as "logits"."""
    results = _results(program)
    indices = pytree.tree_unflatten(list(range(len(results))), _out_spec(program))
    named = zip(_paths(indices, "output"), results, strict=True)
    return [
        _leaf(name, node, value, "output")
        for name, (node, value) in named
        if isinstance(value, torch.Tensor)
    ]


def output_example(program: ExportedProgram) -> Any:
    """Zeros in the structure, shapes and element types of what the program returns."""
    values = [_zeros_like(value) for _, value in _results(program)]
    return pytree.tree_unflatten(values, _out_spec(program))


def zeros_of(program: ExportedProgram, leaf: Leaf) -> torch.Tensor:
    """Zeros in the shape and element type of one output of the program."""
    return _zeros_like(dict(_results(program))[leaf.node])


def _zeros_like(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return torch.zeros(tuple(value.shape), dtype=value.dtype)


def _results(program: ExportedProgram) -> list[tuple[str, Any]]:
    """(graph's name, fake tensor or constant) of each result of the program."""
    nodes = {node.name: node for node in program.graph.nodes}
    found: list[tuple[str, Any]] = []
    for spec in program.graph_signature.output_specs:
        if spec.kind == OutputKind.USER_OUTPUT:
            node = nodes.get(spec.arg.name)
            constant = getattr(spec.arg, "value", None)
            found.append((spec.arg.name, constant if node is None else node.meta.get("val")))
    return found


def _out_spec(program: ExportedProgram) -> pytree.TreeSpec:
    return program.call_spec.out_spec  # pyright: ignore[reportReturnType] - set by export


def leaf_names(tree: Any, root: str) -> list[str]:
    """The name of each tensor of a structure; `root` names one that stands alone."""
    leaves = pytree.tree_leaves(tree)
    named = zip(_paths(tree, root), leaves, strict=True)
    return [name for name, leaf in named if isinstance(leaf, torch.Tensor)]


def _paths(tree: Any, root: str) -> list[str]:
    paths, _ = pytree.tree_flatten_with_path(tree)
    return [_path_name(path, root) for path, _ in paths]


def _path_name(path: tuple[Any, ...], root: str) -> str:
    """Keys joined by dots; positions alone say too little and get the root's name before them."""
    keys = [_key(part) for part in path]
    return ".".join(keys if keys and not keys[0].isdigit() else [root, *keys])


def _key(part: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(part, attribute):
            return str(getattr(part, attribute))
    return str(part)


def _leaf(name: str, node: str, value: torch.Tensor, kind: str) -> Leaf:
    try:
        return Leaf(name, node, tensor_type_of(value))
    except Refusal as refusal:
        raise PockError(f"{kind} {quote(name)}: {refusal}") from None
