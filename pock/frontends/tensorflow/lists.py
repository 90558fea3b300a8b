"""Lists of tensors, which recurrent layers fill in their loops: Python lists while importing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.frontends.common.known import Known
from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import reshape, slice_axis, splat
from pock.frontends.tensorflow.control import Importer
from pock.frontends.tensorflow.known import given
from pock.frontends.tensorflow.structure import dtype_name
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import shape_of, tensor

if TYPE_CHECKING:
    from pock.frontends.tensorflow.graph import GraphImporter


@dataclass(frozen=True)
class TensorList:
    """The values of a list; None: one that has not been set, which reads as zeros."""

    items: tuple[Any, ...]


def _list(value: Any) -> TensorList:
    if not isinstance(value, TensorList):
        raise Refusal("only lists of tensors that the model makes itself are supported")
    return value


def _int(importer: GraphImporter, value: Any, what: str) -> int:
    found = importer.values.known(value)
    if found is None:
        raise Refusal(f"{what} of a list of tensors depends on data")
    return int(found)


def _reserve(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    return [TensorList((None,) * _int(importer, operands[1], "the length"))]


def _empty(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    return [TensorList(())]


def _from_tensor(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    emit, x = importer.emit, importer.values.tensor(operands[0])
    shape = shape_of(x)
    parts = [slice_axis(emit, x, 0, i, i + 1) for i in range(shape[0])]
    return [TensorList(tuple(reshape(emit, part, shape[1:]) for part in parts))]


def _get(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    index = _int(importer, operands[1], "an index")
    return [_item(importer, node, _list(operands[0]).items[index], operands[2])]


def _item(importer: GraphImporter, node: Any, item: Any, shape: Any) -> Any:
    """An item of a list, zeros if it has not been set."""
    if item is not None:
        return item
    sizes = importer.values.known(shape)
    if sizes is None or (sizes < 0).any():
        raise Refusal("an item of a list of tensors is read before it is set")
    dtype = dtype_name(node.outputs[0].dtype)
    return splat(importer.emit, 0, tensor([int(n) for n in sizes.reshape(-1)], dtype))


def _set(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    before, index = _list(operands[0]), _int(importer, operands[1], "an index")
    items = (*before.items[:index], operands[2], *before.items[index + 1 :])
    return [replace(before, items=items)]


def _push(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    return [TensorList((*_list(operands[0]).items, operands[1]))]


def _pop(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    items = _list(operands[0]).items
    if not items:
        raise Refusal("the last item is taken of an empty list of tensors")
    return [TensorList(items[:-1]), items[-1]]


def _stack(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Any]:
    emit, items = importer.emit, _list(operands[0]).items
    if not items:
        raise Refusal("a list without tensors is stacked")
    values = [importer.values.tensor(_item(importer, node, item, operands[1])) for item in items]
    rows = [reshape(emit, value, (1, *shape_of(value))) for value in values]
    return [rows[0] if len(rows) == 1 else emit(ConcatOp, *rows, axis=0)]


def _length(importer: GraphImporter, node: Any, operands: list[Any]) -> Sequence[Known]:
    return [given(np.array(len(_list(operands[0]).items), np.int32))]


LISTS: Mapping[str, Importer] = {
    "EmptyTensorList": _empty,
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListPopBack": _pop,
    "TensorListPushBack": _push,
    "TensorListReserve": _reserve,
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
}
