"""Elements chosen by index. TensorFlow on a CPU refuses indices out of range."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import normal_axis
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.gather import GatherOp, TakeAlongAxisOp
from pock_ir.types import dtype_of, shape_of


def embedding_lookup(emit: Emitter, table: SSAValue, ids: SSAValue, axis: int) -> SSAValue:
    """The slices of a table along `axis`; rows of a table of floats are an embedding.

    Programs check inputs that are indices before a step, as TensorFlow does; indices that are
    computed are clamped, as XLA does.
    """
    if axis == 0 and len(shape_of(table)) == 2 and dtype_of(table).is_float:
        return emit(EmbeddingOp, table, ids, padding_index=-1)
    return emit(GatherOp, table, ids, axis=axis, out_of_range="check", fill=0.0)


@handles("GatherV2", "Gather")
def gather(call: Call) -> SSAValue:
    """Slices of x along one axis; with batch dims, elements of each batch."""
    x, ids = call.x(0), call.x(1)
    rank = len(shape_of(x))
    axis = normal_axis(call.ints(2, "an axis")[0], rank) if call.name == "GatherV2" else 0
    batch = call.attr("batch_dims") if call.name == "GatherV2" else 0
    if not batch:
        return embedding_lookup(call.emit, x, ids, axis)
    lead = shape_of(x)[: rank - 1] == shape_of(ids)[: rank - 1]
    call.require(
        axis == rank - 1 and lead and len(shape_of(ids)) == rank,
        "a gather with batch dims takes elements along the last axis only",
    )
    return call.emit(TakeAlongAxisOp, x, ids, axis=axis, out_of_range="check", fill=0.0)
