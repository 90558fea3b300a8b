"""Variables: reading gives the value that the last assignment left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.frontends.common.refusal import Refusal
from pock.frontends.tensorflow.control import Importer
from pock.frontends.tensorflow.known import given
from pock.frontends.tensorflow.ops.gather import embedding_lookup
from pock_ir.dialects.elementwise import AddOp, SubOp
from pock_ir.op import PockOp
from pock_ir.types import shape_of

if TYPE_CHECKING:
    from pock.frontends.tensorflow.graph import GraphImporter


@dataclass(frozen=True)
class Handle:
    """Stands for the variable called `name`."""

    name: str


def _name(value: Any) -> str:
    if not isinstance(value, Handle):
        raise Refusal("a resource that is no variable is not supported")
    return value.name


def _read(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    return [importer.values.variables[_name(operands[0])]]


def _gather(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    if node.get_attr("batch_dims"):
        raise Refusal("batch dims are not supported")
    table = importer.values.variables[_name(operands[0])]
    return [embedding_lookup(importer.emit, table, importer.values.tensor(operands[1]), 0)]


def _assign(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    importer.values.variables[_name(operands[0])] = importer.values.tensor(operands[1])
    return []


def _changing(op: type[PockOp]) -> Importer:
    def update(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
        name, values = _name(operands[0]), importer.values
        change = values.tensor(operands[1])
        values.variables[name] = importer.emit(op, values.variables[name], change)
        return []

    return update


def _shape(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    shape = shape_of(importer.values.variables[_name(operands[0])])
    return [given(np.array(shape, node.outputs[0].dtype.as_numpy_dtype))]


STATE: Mapping[str, Importer] = {
    "AssignAddVariableOp": _changing(AddOp),
    "AssignSubVariableOp": _changing(SubOp),
    "AssignVariableOp": _assign,
    "ReadVariableOp": _read,
    "ResourceGather": _gather,
    "VariableShape": _shape,
}
