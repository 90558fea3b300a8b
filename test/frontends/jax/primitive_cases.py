"""Small functions that together use every primitive that the importer knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Case = tuple[Callable[..., Any], tuple[Any, ...]]


def _f(*shape: int, low: float = -2.0, high: float = 2.0) -> Any:
    values = np.random.default_rng(sum(shape)).uniform(low, high, shape)
    return jnp.asarray(values, jnp.float32)


X, Y = _f(3, 4), _f(4, 3).T
POSITIVE = _f(3, 4, low=0.2, high=3.0)
INSIDE = _f(3, 4, low=-0.9, high=0.9)
IDS = jnp.array([2, 0, 1, 2], jnp.int32)
PICTURE = _f(2, 6, 7, 4)
TRUTH = X > 0
HEADS = (_f(2, 5, 2, 4), _f(2, 5, 2, 4) * 0.5, _f(2, 5, 2, 4) + 1.0)
# The second sample sees no key; the first of the opposite none beside a causal mask.
KEEP = jnp.array([[True, True, False, True, False], [False] * 5])[:, None, None, :]

UNARY: Mapping[str, Any] = {
    "abs": (jnp.abs, X),
    "atanh": (lax.atanh, INSIDE),
    "cbrt": (lambda x: lax.integer_pow(x, 3), X),
    "ceil": (jnp.ceil, X),
    "cos": (jnp.cos, X),
    "cosh": (jnp.cosh, X),
    "erf": (lax.erf, X),
    "erfc": (lax.erfc, X),
    "exp": (jnp.exp, X),
    "exp2": (jnp.exp2, X),
    "expm1": (jnp.expm1, X),
    "floor": (jnp.floor, X),
    "log": (jnp.log, POSITIVE),
    "log1p": (jnp.log1p, INSIDE),
    "logistic": (lax.logistic, X),
    "neg": (jnp.negative, X),
    "round": (jnp.round, X),
    "rsqrt": (lax.rsqrt, POSITIVE),
    "sign": (jnp.sign, X),
    "sin": (jnp.sin, X),
    "sinh": (jnp.sinh, X),
    "sqrt": (jnp.sqrt, POSITIVE),
    "square": (jnp.square, X),
    "tan": (jnp.tan, INSIDE),
    "tanh": (jnp.tanh, X),
}

CASES: dict[str, Case] = {
    **{name: (function, (x,)) for name, (function, x) in UNARY.items()},
    "add": (lambda x, y: x + y + 1.0, (X, Y)),
    "sub": (lambda x, y: 2.0 - x - y[0], (X, Y)),
    "mul": (lambda x, y: x * y * 0.5, (X, Y)),
    "div": (lambda x, y: x / y / 3.0, (X, POSITIVE)),
    "max": (lambda x, y: jnp.maximum(x, y) + jnp.maximum(x, 0.0), (X, Y)),
    "min": (lambda x, y: jnp.minimum(x, y), (X, Y)),
    "stop_gradient": (lambda x, y: lax.stop_gradient(x * y) * x, (X, Y)),
    "pow": (lambda x, y: x**y + x**2.5, (POSITIVE, Y)),
    "integer_pow": (lambda x: x**3 + x**-1 + x**2 + lax.integer_pow(x, 0), (POSITIVE,)),
    "rem": (lambda x, y: lax.rem(x, y), (X, POSITIVE)),
    "integer_div": (lambda i: i // 2 + i % 3, (IDS - 1,)),
    "clamp": (lambda x: lax.clamp(-0.5, x, 0.75), (X,)),
    "compare": (lambda x, y: jnp.where((x < y) | (x >= 0.5) & ~(x == y), x, y), (X, Y)),
    "xor": (lambda x, y: jnp.where((x > 0) ^ (y > 0), x, y), (X, Y)),
    "bits": (lambda i: (i & 1) | (i ^ 2) + ~i, (IDS,)),
    "is_finite": (lambda x: jnp.where(jnp.isfinite(1.0 / x), x, 0.0), (X.at[0, 0].set(0.0),)),
    "select_n": (lambda x, i: lax.select_n(i, x[0], x[1], x[2]), (X, IDS)),
    "convert": (lambda x: x.astype(jnp.int32).astype(jnp.float32) + x, (X,)),
    "reduce_precision": (lambda x: lax.reduce_precision(x, 8, 23), (X,)),
    "copy": (lambda x: jnp.array(x, copy=True), (X,)),
    "iota": (lambda x: x * jnp.arange(4.0), (X,)),
    "broadcast": (lambda x: jnp.broadcast_to(x[:, None], (3, 2, 4)), (X,)),
    "reshape": (lambda x: x.reshape(2, 6), (X,)),
    "transpose": (lambda x: x.T, (X,)),
    "slice": (lambda x: x[1:, ::2], (X,)),
    "pad": (lambda x: lax.pad(x, 0.5, [(1, -1, 0), (0, 2, 1)]), (X,)),
    "concatenate": (lambda x, y: jnp.concatenate([x, y, x], 1), (X, Y)),
    "stack": (lambda x, y: jnp.stack([x, y], 1), (X, Y)),
    "unstack": (lambda x: sum(jnp.unstack(x, axis=1)), (X,)),
    "split": (lambda x: jnp.split(x, 2, 1), (X,)),
    "rev": (lambda x: x[::-1, ::-1], (X,)),
    "tile": (lambda x: jnp.tile(x, (2, 3)), (X,)),
    "reduce_sum": (lambda x: x.sum(0), (X,)),
    "reduce_max": (lambda x: x.max(1), (X,)),
    "reduce_min": (lambda x: x.min(1), (X,)),
    "reduce_prod": (lambda x: x.prod(1), (X,)),
    "reduce_truth": (lambda x: jnp.any(x > 1, 0) & ~jnp.all(x > -1, 0), (X,)),
    "argmax": (lambda x: (x.argmax(1), x.argmin(0)), (X,)),
    "cumsum": (lambda x: jnp.cumsum(x, 1), (X,)),
    "cummax": (lambda x: (lax.cummax(x, 1), lax.cummin(x, 0, reverse=True)), (X,)),
    "dot": (lambda x, y: x @ y.T, (X, Y)),
    "dot_batched": (lambda x, y: jnp.einsum("bij,bkj->bik", x, y), (_f(2, 3, 4), _f(2, 5, 4))),
    "dot_heads": (lambda x, w: jnp.einsum("btf,fhd->bthd", x, w), (_f(2, 3, 4), _f(4, 2, 3))),
    "conv": (
        lambda x, w: lax.conv_general_dilated(
            x, w, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
        (PICTURE, _f(3, 3, 4, 5)),
    ),
    "conv_nchw": (
        lambda x, w: lax.conv(jnp.moveaxis(x, 3, 1), w, (1, 1), "VALID"),
        (PICTURE, _f(5, 4, 3, 2)),
    ),
    "conv_groups": (
        lambda x, w: lax.conv_general_dilated(
            x,
            w,
            (1, 1),
            [(1, 0), (0, 2)],
            rhs_dilation=(2, 1),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=2,
        ),
        (PICTURE, _f(2, 3, 2, 6)),
    ),
    "conv_transposed": (
        lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME"),
        (PICTURE, _f(3, 3, 4, 5)),
    ),
    "conv_1d": (
        lambda x, w: lax.conv_general_dilated(
            x, w, (2,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
        ),
        (_f(2, 9, 4), _f(3, 4, 5)),
    ),
    "max_pool": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 2, 1), (1, 2, 1, 1), "SAME"),
        (PICTURE,),
    ),
    "min_pool": (
        lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
        (PICTURE,),
    ),
    "sum_pool": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 3, 1), (1, 2, 1, 1), "SAME") / 6.0,
        (PICTURE,),
    ),
    "take": (lambda x, i: jnp.take(x, i, axis=1) + x[:, i], (X, IDS)),
    "take_rows": (lambda x, i: jnp.take(x, i - 5, axis=0), (X, IDS)),
    "take_along_axis": (
        lambda x, i: jnp.take_along_axis(x, jnp.stack([i, i, i]), axis=1),
        (X, IDS),
    ),
    "gather_boxes": (
        lambda x, i: jax.vmap(lambda j: lax.dynamic_slice(x, (j, j), (2, 2)))(i),
        (X, IDS),
    ),
    "gather_pairs": (lambda x, i: x[i, i], (X, IDS)),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i[0], i[1]), (2, 3)), (X, IDS)),
    "dynamic_update_slice": (
        lambda x, y, i: lax.dynamic_update_slice(x, y[:2, :2], (i[2], i[0])),
        (X, Y, IDS),
    ),
    "cumprod": (lambda x: jnp.cumprod(x, 1) + lax.cumprod(x, 0, reverse=True), (X,)),
    "sort": (
        lambda x, y: (jnp.sort(x, 0), lax.sort((x, y), num_keys=1)[1], jnp.median(x, 1)),
        (X, Y),
    ),
    "sort_equal": (
        lambda x, i: lax.sort((i[None, :] > 1 - i[:3, None], jnp.round(x), x), num_keys=2)[1:],
        (X, IDS),
    ),
    "sort_nan": (
        lambda x: (jnp.argsort(jnp.log(x)), lax.top_k(jnp.where(x > 0, x, jnp.nan), 3)[1]),
        (X,),
    ),
    "top_k": (lambda x: lax.top_k(jnp.round(x * 2), 3), (X,)),
    "top_k_hidden": (lambda x: lax.top_k(jnp.where(x > 1, x, -jnp.inf), 3)[1], (X,)),
    "no_elements": (
        lambda x: (
            jnp.concatenate([x[:, :0] * 2.0, x], 1) + lax.pad(x[:0], 0.5, [(3, 0, 0), (0, 0, 0)])
        ),
        (X,),
    ),
    "associative_scan": (
        lambda x, y: lax.associative_scan(
            lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), (x, y), axis=1
        )[1],
        (X, Y),
    ),
    "segment_sum": (lambda x, i: jax.ops.segment_sum(x[i], i - 1, 4) + _f(4, 4), (X, IDS)),
    "segment_max": (
        lambda x, i: jax.ops.segment_max(x[i] * _f(4, 4), i, 3) + jax.ops.segment_min(x, i[:3], 3),
        (X, IDS),
    ),
    "scatter_add": (
        lambda x, y, i: x.at[:, i[:3]].add(y[:, :3]).at[1, 2:].add(y[0, :2]).at[i, i].add(y[0]),
        (X, Y, IDS),
    ),
    "scatter_boxes": (
        lambda x, y, i: (
            jax.vmap(lambda a, b, j: a.at[j].add(b[0]))(x, y, i[:3])
            + lax.scatter_add(
                x,
                jnp.stack([i - 1, i], 1),
                jnp.broadcast_to(y[:2, :2], (4, 2, 2)),
                lax.ScatterDimensionNumbers((1, 2), (), (0, 1)),
                mode=lax.GatherScatterMode.CLIP,
            )
        ),
        (X, Y, IDS),
    ),
    "scatter": (
        lambda x, y, i: (
            x.at[1:3].set(y[:2]).at[:, 0].set(1.0)
            + x.at[jnp.array([0, 2])].set(y[:2])
            + x.at[i].set(jnp.outer(y[0], y[1]))
            + x.at[i[0], 5].set(7.0)
        ),
        (X, Y, IDS),
    ),
    "scatter_mul": (
        lambda x, y, i: (
            x.at[i[0]].multiply(y[0]) + x.at[i[:2]].multiply(y[:2], unique_indices=True)
        ),
        (X, Y, IDS),
    ),
    "scatter_max": (lambda x, y, i: x.at[i].max(y[i]) + x.at[i].min(y[i]), (X, Y, IDS)),
    "relu": (lambda x: jax.nn.relu(x) + jax.nn.relu6(3.0 * x), (X,)),
    "silu": (jax.nn.silu, (X,)),
    "gelu": (lambda x: jax.nn.gelu(x) + jax.nn.gelu(x, approximate=False), (X,)),
    "softplus": (jax.nn.softplus, (X,)),
    "softmax": (lambda x: jax.nn.softmax(x, 0), (X,)),
    "log_softmax": (jax.nn.log_softmax, (X,)),
    "logsumexp": (lambda x: jax.nn.logsumexp(x, axis=0, keepdims=True), (X,)),
    "one_hot": (lambda x, i: x @ jax.nn.one_hot(i, 5), (X, IDS)),
    "attention": (
        lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True),
        (_f(2, 5, 2, 4), _f(2, 5, 2, 4), _f(2, 5, 2, 4)),
    ),
    "attention_masked": (
        lambda q, k, v, m: jax.nn.dot_product_attention(q, k, v, mask=m),
        (*HEADS, KEEP),
    ),
    "attention_masked_causal": (
        lambda q, k, v, m: jax.nn.dot_product_attention(q, k, v, mask=m, is_causal=True),
        (*HEADS, ~KEEP),
    ),
    "attention_lengths": (
        lambda q, k, v, n: jax.nn.dot_product_attention(
            q, k, v, key_value_seq_lengths=n, is_causal=True
        ),
        (*HEADS, jnp.array([3, 0])),
    ),
    "attention_query_lengths": (
        lambda q, k, v, n: jax.nn.dot_product_attention(
            q, k, v, query_seq_lengths=n, key_value_seq_lengths=n
        ),
        (*HEADS, jnp.array([3, 0])),
    ),
    "attention_window": (
        lambda q, k, v: jax.nn.dot_product_attention(q, k, v, local_window_size=(1, 0)),
        HEADS,
    ),
    "attention_lowest_added": (
        lambda q, k, v, m: jax.nn.dot_product_attention(q, k, v, bias=jnp.where(m, 0.0, -3e38)),
        (*HEADS, KEEP),
    ),
    "attention_infinity_added": (
        lambda q, k, v, m: jax.nn.dot_product_attention(q, k, v, bias=jnp.where(m, 0.0, -jnp.inf)),
        (*HEADS, KEEP),
    ),
    "attention_bias": (
        lambda q, k, v, b, m: jax.nn.dot_product_attention(q, k, v, bias=b, mask=m),
        (*HEADS, _f(1, 2, 5, 5), KEEP),
    ),
    "attention_flax": (
        lambda q, k, v, m: nn.dot_product_attention(
            q, k, v, mask=nn.combine_masks(m, nn.make_causal_mask(jnp.ones((2, 5))))
        ),
        (*HEADS, ~KEEP),
    ),
    "attention_by_hand": (
        lambda q, k, v, m: jnp.einsum(
            "bhts,bshd->bthd",
            jax.nn.softmax(jnp.where(m, jnp.einsum("bthd,bshd->bhts", q, k), -jnp.inf)),
            v,
        ),
        (*HEADS, KEEP),
    ),
    "var": (lambda x: jnp.var(x, 1) + jnp.mean(x, 1), (X,)),
    "remat": (jax.checkpoint(lambda x: jnp.sin(jnp.tanh(x))), (X,)),
    "scan": (
        lambda x: lax.scan(lambda c, r: (c + r, c * r), jnp.zeros(4), x, reverse=True),
        (X,),
    ),
    "fori": (lambda x: lax.fori_loop(0, 3, lambda i, v: v * 0.5 + i, x), (X,)),
    "cond": (lambda x: lax.switch(1, [jnp.sin, jnp.cos, jnp.tanh], x), (X,)),
    "einsum_sum": (lambda x, y: jnp.einsum("ij,ij->", x, y), (X, Y)),
    "truth": (lambda x: jnp.where(TRUTH, x, 2.0 * x), (X,)),
}
"""Name -> a function and its arguments; floats among these get gradients."""
