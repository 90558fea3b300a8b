"""What a graph computes, and what of it is needed.

A graph is the main one, or the body of a function that a node of it calls. Nodes stand in the order
in which they were made, which is one in which they can run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
BRANCHES = frozenset(("If", "StatelessIf", "Case", "StatelessCase"))
LOOPS = frozenset(("While", "StatelessWhile"))

ASSIGNMENTS = frozenset(("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"))
"""Nodes that assign all of a variable, which are imported."""

OTHER_ASSIGNMENTS = (
    *("ResourceApply", "ResourceCountUpTo", "ResourceScatter", "ResourceSparseApply"),
    "ResourceStridedSliceAssign",
)
"""How nodes are called that change a variable otherwise. They count, so that they are refused."""

SEEDED_UNIFORM = frozenset(("StatelessRandomUniform", "StatelessRandomUniformV2"))
UNIFORM = SEEDED_UNIFORM | {"RandomUniform"}
"""Nodes that draw random numbers from [0, 1)."""


def called(node: Any, name: str) -> Any:
    """The graph of a function of `node`'s graph."""
    return node.graph._functions[name].graph


def bodies_of(node: Any) -> list[Any]:
    """The graphs that `node` may run."""
    if node.type in CALLS:
        return [called(node, node.get_attr("f").name)]
    if node.type in LOOPS:
        return [called(node, node.get_attr(key).name) for key in ("cond", "body")]
    if node.type in ("If", "StatelessIf"):
        return [called(node, node.get_attr(f"{key}_branch").name) for key in ("then", "else")]
    if node.type in BRANCHES:
        return [called(node, function.name) for function in node.get_attr("branches")]
    return []


def all_nodes(graph: Any) -> Iterable[Any]:
    """The nodes of `graph` and of all bodies below it."""
    for node in graph.get_operations():
        yield node
        for body in bodies_of(node):
            yield from all_nodes(body)


def assigns(node: Any) -> bool:
    """Whether `node`, or a body that it runs, assigns a variable."""
    if node.type in ASSIGNMENTS or node.type.startswith(OTHER_ASSIGNMENTS):
        return True
    return any(assigns(inner) for body in bodies_of(node) for inner in body.get_operations())


def is_fixed(tensor: Any) -> bool:
    """Whether `tensor` is made of constants of its own graph alone."""
    seen: set[str] = set()
    stack = [tensor.op]
    while stack:
        node = stack.pop()
        if node.name in seen:
            continue
        seen.add(node.name)
        if node.type in CALLS or node.type.startswith("Placeholder") or node.op_def.is_stateful:
            return False
        stack.extend(source.op for source in node.inputs)
    return True


def draws(node: Any) -> bool:
    """Whether `node` draws other numbers in every step: its seed is no constant."""
    if node.type not in UNIFORM:
        return False
    return node.type not in SEEDED_UNIFORM or not all(map(is_fixed, list(node.inputs)[1:]))


def draws_anywhere(graph: Any) -> bool:
    """Whether random numbers are drawn in `graph` or a body below it."""
    return any(map(draws, all_nodes(graph)))


def sources_of(node: Any) -> Sequence[Any]:
    """The tensors that must be imported before `node`: the counter replaces seeds."""
    return () if draws(node) else node.inputs


def needed_nodes(
    graph: Any, tensors: Iterable[Any], effects: bool, ignored: Collection[str] = ()
) -> set[str]:
    """The names of the nodes that `tensors` depend on.

    effects: also those that assign variables, but for those inputs of the graph named in `ignored`.
    """
    nodes = graph.get_operations()
    stack = [tensor.op for tensor in tensors]
    if effects:
        stack += [n for n in nodes if assigns(n) and not _assigns_only(n, ignored)]
    needed: set[str] = set()
    while stack:
        node = stack.pop()
        if node.name not in needed:
            needed.add(node.name)
            stack.extend(source.op for source in sources_of(node))
    return needed


def _assigns_only(node: Any, ignored: Collection[str]) -> bool:
    return node.type in ASSIGNMENTS and node.inputs[0].name in ignored


def seed_inputs(graph: Any) -> set[int]:
    """Which inputs of `graph` random seeds are made of, by number."""
    stack: list[Any] = []
    for node in graph.get_operations():
        if draws(node):
            stack.extend(node.inputs)
            continue
        for body in bodies_of(node):
            # The condition of an If or Case is no input of its branches.
            offset = int(node.type in BRANCHES)
            stack.extend(node.inputs[offset + index] for index in seed_inputs(body))
    seen: set[str] = set()
    while stack:
        tensor = stack.pop()
        if tensor.name not in seen:
            seen.add(tensor.name)
            stack.extend(tensor.op.inputs)
    return {index for index, tensor in enumerate(graph.inputs) if tensor.name in seen}
