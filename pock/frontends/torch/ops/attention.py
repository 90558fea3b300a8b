"""Scaled dot-product attention.

A query that sees no key gets 0, and nothing of it has a gradient: `masked_rows` is "zero".
"""

from __future__ import annotations

from math import sqrt

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.shape import BroadcastOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten


@handles(aten.scaled_dot_product_attention.default)
def scaled_dot_product_attention(call: Call) -> SSAValue:
    """Attention of q[..., T, D] to k[..., S, D] and v[..., S, E]; leading dims become two."""
    emit = call.emit
    q, k, v = (_rank4(emit, call.tensor(name)) for name in ("query", "key", "value"))
    if call["enable_gqa"]:
        k, v = (_repeat_heads(emit, x, shape_of(q)[1]) for x in (k, v))
    mask = call.optional("attn_mask")
    p = float(call["dropout_p"])
    call.require(p < 1.0, "attention that drops everything is not supported")
    rest: list[SSAValue] = [] if mask is None else [_mask(call, mask, dtype_of(q).name)]
    random = call.random() if p > 0 else None
    if random is not None:
        rest += [random.seed, random.step]
    scale = call["scale"]
    op = emit.op(
        AttentionOp,
        q,
        k,
        v,
        *rest,
        layout="bhtd",
        scale=1.0 / sqrt(shape_of(q)[-1]) if scale is None else float(scale),
        causal=bool(call["is_causal"]),
        mask=_mask_kind(mask),
        masked_rows="zero",
        dropout=p,
        stream=0 if random is None else random.stream,
    )
    return reshape(emit, op.results[0], call.shape())


def _rank4(emit: Emitter, x: SSAValue) -> SSAValue:
    """x[..., T, D] with exactly two leading dims."""
    shape = shape_of(x)
    if len(shape) == 4:
        return x
    lead = torch.Size(shape[:-2]).numel()
    return reshape(emit, x, (lead, 1, *shape[-2:]))


def _repeat_heads(emit: Emitter, x: SSAValue, heads: int) -> SSAValue:
    """Each head of x[B, G, S, D] repeated heads / G times in a row."""
    batch, groups, keys, depth = shape_of(x)
    wide = (batch, groups, heads // groups, keys, depth)
    return reshape(
        emit, emit(BroadcastOp, x, shape=wide, axes=[0, 1, 3, 4]), (batch, heads, keys, depth)
    )


def _mask_kind(mask: SSAValue | None) -> str:
    if mask is None:
        return "none"
    return "boolean" if dtype_of(mask).name == "i1" else "additive"


def _mask(call: Call, mask: SSAValue, dtype: str) -> SSAValue:
    """The mask as [B or 1, H or 1, T or 1, S]; the op repeats dims of 1 itself."""
    emit, query = call.emit, shape_of(call.tensor("query"))
    rank, keys = len(query), shape_of(call.tensor("key"))[-2]
    shape = (1,) * (rank - len(shape_of(mask))) + shape_of(mask)
    if dtype_of(mask).name != "i1":
        mask = cast(emit, mask, dtype)
    if rank == 4:
        return broadcast(emit, mask, (*shape[:-1], keys))
    # All leading dims are the op's first one: where one of them repeats, the others cannot.
    repeats = all(size == 1 for size in shape[:-2])
    full = (*(shape[:-2] if repeats else query[:-2]), shape[-2], keys)
    lead = torch.Size(full[:-2]).numel()
    return reshape(emit, broadcast(emit, mask, full), (lead, 1, *full[-2:]))
