"""Attention of flax and of jax.nn, without dropout, as one op.

What masks hide gets one large negative number as its score, so that a query that sees no key takes
the mean of all values: `masked_rows` is "uniform". A bias is added: if all of a query's are -inf,
it gets NaN. Both together are left to the decomposed form, as is a bias that needs a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod, sqrt
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    common_shape,
    iota,
    reshape,
)
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.elementwise import CompareOp, LogicalAndOp
from pock_ir.types import dtype_of, shape_of

LENGTHS = "key_value_seq_lengths"


def _only(call: Call, names: tuple[str, ...]) -> None:
    """Raises Decline if the call has an array besides `names`."""
    if not set(call.names) <= set(names):
        raise Decline


@takes_whole("flax_attention")
def flax_attention(call: Call) -> SSAValue:
    """flax's attention: q[B..., T, H, D], k and v [B..., S, H, D]; scores over sqrt(D)."""
    params = call.params
    _only(call, ("query", "key", "value", "mask", "bias"))
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
    _only(call, ("query", "key", "value", "mask", "bias", LENGTHS))
    refused = ("bias", "query_seq_lengths", LENGTHS, "local_window_size")
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
    mask = _mask(call, q, k)
    op = emit.op(
        AttentionOp,
        *(_rank4(call, value) for value in (q, k, v)),
        *([] if mask.operand is None else [mask.operand]),
        layout="bthd",
        scale=scale,
        causal=mask.causal,
        mask=mask.kind,
        masked_rows="nan" if mask.kind == "additive" else "uniform",
        dropout=0.0,
        stream=0,
    )
    return cast(emit, reshape(emit, op.results[0], call.shape()), call.dtype())


def _rank4(call: Call, value: SSAValue) -> SSAValue:
    *lead, length, heads, depth = shape_of(value)
    return reshape(call.emit, value, (prod(lead), length, heads, depth))


@dataclass(frozen=True)
class _Mask:
    """`kind` and `causal` as the op has them, and its operand, if there is one."""

    kind: str = "none"
    causal: bool = False
    operand: SSAValue | None = None


def _mask(call: Call, q: SSAValue, k: SSAValue) -> _Mask:
    """All that hides keys. Raises Decline for what the op does not do."""
    queries, keys = shape_of(q)[-3], shape_of(k)[-3]
    causal = bool(call.params.get("is_causal"))
    given = {name: call.at(name) for name in ("mask", "bias", LENGTHS)}
    if given["mask"] is not None and _is_causal(call, given["mask"], queries, keys):
        causal, given["mask"] = True, None
    present = {name: place for name, place in given.items() if place is not None}
    if not present:
        return _Mask(causal=causal)
    if len(shape_of(q)) > 4:
        raise Decline
    bias = present.pop("bias", None)
    if bias is None:
        parts = [_condition(call, name, place, keys) for name, place in present.items()]
        return _Mask("boolean", causal, reduce(lambda a, b: _both(call, a, b), parts))
    same = dtype_of(call.x(bias)).name == dtype_of(q).name
    if present or causal or call.is_active(bias) or not same:
        raise Decline
    return _Mask("additive", False, _per_key(call, call.x(bias), keys))


def _is_causal(call: Call, place: int, queries: int, keys: int) -> bool:
    """Whether the mask is known, and that each query sees the keys up to its own place."""
    mask = call.known(place)
    if mask is None or mask.ndim < 2:
        return False
    full = (*mask.shape[:-2], queries, keys)
    shown = np.broadcast_to(mask.astype(bool), full)
    return bool((shown == np.tri(queries, keys, dtype=bool)).all())


def _condition(call: Call, name: str, place: int, keys: int) -> SSAValue:
    """True where a key is visible; [B or 1, H or 1, T or 1, S]."""
    emit, value = call.emit, call.x(place)
    if name != LENGTHS:
        return _per_key(call, cast(emit, value, "i1"), keys)
    shape = (prod(shape_of(value)), 1, 1, keys)
    lengths = broadcast(emit, reshape(emit, value, (*shape[:3], 1)), shape)
    return emit(CompareOp, iota(emit, shape, 3, dtype_of(value).name), lengths, predicate="lt")


def _per_key(call: Call, value: SSAValue, keys: int) -> SSAValue:
    """A mask with four dims, the last of which are the keys."""
    shape = shape_of(value)
    shape = (*(1,) * (4 - len(shape)), *shape[:-1], keys) if shape else (1, 1, 1, keys)
    return broadcast(call.emit, value, shape)


def _both(call: Call, a: SSAValue, b: SSAValue) -> Any:
    shape = common_shape(shape_of(a), shape_of(b))
    return call.emit(LogicalAndOp, *(broadcast(call.emit, value, shape) for value in (a, b)))
