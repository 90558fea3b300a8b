"""Rows of a table."""

from __future__ import annotations

import torch
from xdsl.ir import SSAValue

from pock.frontends.torch.ops.common import splat_like
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.elementwise import AddOp, CompareOp, SelectOp
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten


@handles(aten.embedding.default)
def embedding(call: Call) -> SSAValue:
    """Rows by number. `sparse` only changes how PyTorch stores the gradient."""
    call.require(not call["scale_grad_by_freq"], "scale_grad_by_freq is not supported")
    padding = call["padding_idx"]
    return call.emit(
        EmbeddingOp, call.tensor("weight"), call.tensor("indices"), padding_index=padding
    )


@handles(aten.index_select.default)
def index_select(call: Call) -> SSAValue:
    """Rows of a matrix by number."""
    table = call.tensor("self")
    fits = len(shape_of(table)) == 2 and call["dim"] in (0, -2)
    call.require(fits, "only whole rows of a matrix can be selected")
    return call.emit(EmbeddingOp, table, call.tensor("index"), padding_index=-1)


@handles(aten.index.Tensor)
def index(call: Call) -> SSAValue:
    """x[ids]: rows of a matrix by number, negative ones from the end; no other indexing."""
    table, indices = call.tensor("self"), call["indices"]
    fits = (
        len(indices) == 1
        and len(shape_of(table)) == 2
        and dtype_of(indices[0]).name in ("i32", "i64")
    )
    call.require(
        fits,
        "indexing by tensors is supported for rows of a matrix only",
        "select rows with an embedding, or use slices",
    )
    emit, ids = call.emit, indices[0]
    rows = shape_of(table)[0]
    is_negative = emit(CompareOp, ids, splat_like(emit, 0, ids), predicate="lt")
    from_end = emit(AddOp, ids, splat_like(emit, rows, ids))
    ids = emit(SelectOp, is_negative, from_end, ids)
    return emit(EmbeddingOp, table, ids, padding_index=-1)
