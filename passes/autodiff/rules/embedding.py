"""Gradients of table lookups."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.embedding import EmbeddingGradOp, EmbeddingOp
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)
from pock_ir.passes.trained import slice_axis
from pock_ir.types import shape_of

refuse_second_order(EmbeddingGradOp)


@VJP.register(EmbeddingOp)
def embedding(
    op: EmbeddingOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Rows that are read several times sum their gradients; the padding row gets none.

    forward:  y[.., d] = table[ids[..], d]
    backward: dtable[v, d] = sum over .. with ids[..] = v of dy[.., d];  0 at the padding index
    """
    table, ids = op.operands
    dy, part = only_first(op, cotangents), emit.requested(0)
    if part is not None and part.axis == 1:
        dy = slice_axis(emit, dy, len(shape_of(dy)) - 1, part.begin, part.size)
    properties = {**op.properties, "rows": shape_of(table)[0]}
    return [emit(EmbeddingGradOp, ids, dy, **properties), None]
