"""Attention of flax and of jax.nn, without dropout, as one op.

Masks that are known (a causal mask) hide keys. In JAX a query that sees no key takes the mean of
all values, in pock it gets 0, so a mask that depends on data is left to the decomposed form.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    reshape,
)
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.attention import AttentionOp
from pock_ir.types import Array, dtype_of, shape_of


def _only(call: Call, names: tuple[str, ...]) -> None:
    """Raises Decline if the call has an array besides `names`."""
    if not set(call.names) <= set(names):
        raise Decline


@takes_whole("flax_attention")
def flax_attention(call: Call) -> SSAValue:
    """flax's attention: q[B..., T, H, D], k and v [B..., S, H, D]; scores over sqrt(D)."""
    params = call.params
    _only(call, ("query", "key", "value", "mask"))
    drops = params.get("dropout_rate", 0.0) != 0.0 and not params.get("deterministic", False)
    special = any(params.get(name) is not None for name in ("bias", "module", "precision"))
    promotes = params.get("force_fp32_for_softmax") or params.get("qk_attn_weights_einsum")
    if drops or special or promotes or params.get("is_causal"):
        raise Decline
    depth = call.avals[0].shape[-1]
    return _attention(call, 1.0 / sqrt(depth))


@takes_whole("attention")
def jax_attention(call: Call) -> SSAValue:
    """jax.nn.dot_product_attention: q[B, T, H, D], k and v [B, S, H, D]."""
    params = call.params
    _only(call, ("query", "key", "value", "mask"))
    refused = ("bias", "query_seq_lengths", "key_value_seq_lengths", "local_window_size")
    if any(params.get(name) is not None for name in refused) or params.get("return_residual"):
        raise Decline
    scale = params["scale"]
    depth = call.avals[0].shape[-1]
    return _attention(call, 1.0 / sqrt(depth) if scale is None else float(scale))


def _attention(call: Call, scale: float) -> SSAValue:
    emit = call.emit
    q, k, v = (call.x(index) for index in range(3))
    if len({dtype_of(value).name for value in (q, k, v)}) > 1 or shape_of(q)[-2] != shape_of(k)[-2]:
        raise Decline
    queries, keys = shape_of(q)[-3], shape_of(k)[-3]
    kind, causal, rest = _mask(call, queries, keys)
    op = emit.op(
        AttentionOp,
        *(_rank4(call, value) for value in (q, k, v)),
        *rest,
        layout="bthd",
        scale=scale,
        causal=causal or bool(call.params.get("is_causal")),
        mask=kind,
        dropout=0.0,
        stream=0,
    )
    return cast(emit, reshape(emit, op.results[0], call.shape()), call.dtype())


def _rank4(call: Call, value: SSAValue) -> SSAValue:
    *lead, length, heads, depth = shape_of(value)
    return reshape(call.emit, value, (prod(lead), length, heads, depth))


def _mask(call: Call, queries: int, keys: int) -> tuple[str, bool, list[SSAValue]]:
    """(kind, whether it is causal, operands). Raises Decline for a mask that is not known."""
    place = call.at("mask")
    if place is None:
        return "none", False, []
    mask = call.known(place)
    if mask is None or mask.ndim != 4 or not _all_see(mask.astype(bool)):
        raise Decline
    hidden = ~mask.astype(bool)
    if np.array_equal(~hidden, np.broadcast_to(np.tri(queries, keys, dtype=bool), mask.shape)):
        return "none", True, []
    return "boolean", False, [_as_truth(call, place)]


def _as_truth(call: Call, place: int) -> Any:
    return cast(call.emit, call.x(place), "i1")


def _all_see(mask: Array) -> bool:
    """Whether every query sees a key."""
    return bool(mask.any(axis=-1).all())
