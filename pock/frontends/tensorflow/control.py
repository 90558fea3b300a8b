"""Calls, branches and loops: bodies are imported in their place.

Branches must be decided, and the length of loops known, while importing; a loop is unrolled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pock.frontends.common.refusal import Refusal
from pock.frontends.tensorflow.bodies import BRANCHES, CALLS, LOOPS, bodies_of

if TYPE_CHECKING:
    from pock.frontends.tensorflow.graph import GraphImporter

LIMIT = 1024
"""The most steps that a loop is unrolled to."""

HELP_BRANCH = "decide it in Python, or select elements with tf.where"
HELP_LOOP = "iterate a fixed number of times"

Importer = Callable[["GraphImporter", Any, list[Any]], Sequence[Any]]


def _run(importer: GraphImporter, body: Any, operands: Sequence[Any]) -> list[Any]:
    values = {tensor.name: value for tensor, value in zip(body.inputs, operands, strict=True)}
    return importer.body(body, values, list(body.outputs), importer.emit.location)


def _call(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    (body,) = bodies_of(node)
    return _run(importer, body, operands)


def _branch(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    chosen = importer.values.known(operands[0])
    if chosen is None:
        raise Refusal("the branch depends on data", HELP_BRANCH)
    bodies = bodies_of(node)
    if node.type in ("If", "StatelessIf"):
        index = 0 if chosen.item() else 1
    else:
        # An index out of range chooses the last branch.
        index = int(chosen) if 0 <= int(chosen) < len(bodies) else len(bodies) - 1
    return _run(importer, bodies[index], operands[1:])


def _loop(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    condition, body = bodies_of(node)
    place = importer.emit.location
    values = list(operands)
    for _ in range(LIMIT):
        importer.emit.location = place
        goes_on = importer.values.known(_run(importer, condition, values)[0])
        if goes_on is None:
            raise Refusal("the number of steps depends on data", HELP_LOOP)
        if not goes_on.item():
            return values
        importer.emit.location = place
        values = _run(importer, body, values)
    raise Refusal(f"the loop takes more than {LIMIT} steps", HELP_LOOP)


CONTROL: Mapping[str, Importer] = {
    **dict.fromkeys(CALLS, _call),
    **dict.fromkeys(BRANCHES, _branch),
    **dict.fromkeys(LOOPS, _loop),
}
