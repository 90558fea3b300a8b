"""Scaled dot-product attention and its gradient, as one op each.

For batch b, head h, query t and key s: score = scale * sum over d of q[t, d] k[s, d], plus an
additive mask; a key is visible if the boolean mask is true and, with `causal`, s <= t (queries
and keys are aligned at their beginnings). Invisible keys have score -inf.
log_normalizer[t] = log of the sum over s of exp(score), probability = exp(score - log_normalizer),
out[t] = sum over s of dropped(probability) v[s].

`masked_rows` says what a query without a key gets, one whose scores are all -inf:

    zero     probabilities of 0, and log_normalizer 0; PyTorch's scaled_dot_product_attention
    uniform  1 / S for every key, hidden or not: what a condition gives that replaces scores by one
             large negative number, as in JAX and flax; not with an additive mask
    nan      NaN: the softmax of -inf, as written by hand

A condition (boolean, causal) hides scores from the gradient, an additive -inf does not: its row of
NaN probabilities has NaN gradients. log_normalizer is -inf where such a row is uniform or NaN.
If an additive mask makes all scores of a row so large (-1e9) that log_normalizer is no longer
exact, the gradient divides by the sum of exp(score - log_normalizer) once more.

Operands after q, k, v: the mask unless mask is "none", then seed and step if dropout > 0.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def, var_operand_def

from pock_ir.dialects.checks import (
    Shape,
    between,
    expect_same_element,
    expect_shape,
    expect_type,
    finite_number,
    one_of,
    ranked,
)
from pock_ir.dialects.dropout import expect_countable, expect_key, expect_stream, keep_mask
from pock_ir.dialects.fields import (
    flag_property,
    integer_property,
    number_property,
    text_property,
)
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, flag, integer, number, require, text
from pock_ir.types import Array, dtype_of, tensor

LAYOUTS = ("bhtd", "bthd")
MASKS = ("none", "boolean", "additive")

MASKED_ROWS: Mapping[str, Callable[[int], float]] = {
    "zero": lambda keys: 0.0,
    "uniform": lambda keys: 1.0 / keys,
    "nan": lambda keys: nan,
}
"""Rule -> the probability of each of so many keys for a query that sees none of them."""


@dataclass(frozen=True)
class AttentionGeometry:
    """Sizes: batch B, heads H, queries T, keys S, depth D of q and k, width E of v and out."""

    batch: int
    heads: int
    queries: int
    keys: int
    depth: int
    width: int

    @property
    def products(self) -> int:
        """Multiply-adds of scores and of values together."""
        return self.batch * self.heads * self.queries * self.keys * (self.depth + self.width)


class AttentionBase(PockOp):
    """The properties and the checks that attention and its gradient share."""

    layout = text_property()
    scale = number_property()
    causal = flag_property()
    mask = text_property()
    masked_rows = text_property()
    dropout = number_property()
    stream = integer_property()

    @abstractmethod
    def inputs(self) -> tuple[SSAValue, SSAValue, SSAValue, Sequence[SSAValue]]:
        """q, k, v and the operands after them."""

    def heads_first(self, shape: Shape) -> Shape:
        """A shape in `layout` as [B, H, T, D], or the reverse."""
        b, second, third, d = shape
        return (b, third, second, d) if text(self.layout) == "bthd" else shape

    def geometry(self) -> AttentionGeometry:
        """The sizes. Raises VerifyException if q, k and v do not fit together."""
        one_of(self.layout, LAYOUTS, "layout")
        operands = self.inputs()[:3]
        named = list(zip(operands, "qkv", strict=True))
        q, k, v = (self.heads_first(ranked(value, what, 4)) for value, what in named)
        for value, what in named:
            expect_same_element(value, what, operands[0], "q")
        for shape, what in ((k, "k"), (v, "v")):
            require(
                shape[:2] == q[:2],
                f"{what} has batch and heads {list(shape[:2])}, but q has {list(q[:2])}",
            )
        require(k[3] == q[3], f"k has depth {k[3]}, but q has {q[3]}")
        require(v[2] == k[2], f"v has {v[2]} keys, but k has {k[2]}")
        require(k[2] > 0, "k should have at least one key")
        return AttentionGeometry(q[0], q[1], q[2], k[2], q[3], v[3])

    def checked(self) -> AttentionGeometry:
        """`geometry`, after a check of all properties and of the operands after v."""
        geometry = self.geometry()
        finite_number(self.scale, "scale")
        mask = one_of(self.mask, MASKS, "mask")
        rule = one_of(self.masked_rows, tuple(MASKED_ROWS), "masked_rows")
        require(
            rule != "uniform" or mask != "additive",
            'masked_rows "uniform" needs a condition as its mask, not an additive one',
        )
        dropout = between(self.dropout, 0.0, 1.0, "dropout", open_end=True)
        expect_stream(self.stream)
        rest = self.inputs()[3]
        wanted = (mask != "none") + 2 * (dropout > 0)
        require(
            len(rest) == wanted,
            f'mask "{mask}" and dropout {dropout} need {wanted} operands after'
            f" the others, not {len(rest)}",
        )
        if mask != "none":
            self.expect_mask(rest[0], mask, geometry)
        if dropout > 0:
            expect_key(rest[-2], rest[-1])
            expect_countable(geometry.batch * geometry.heads * geometry.queries * geometry.keys)
        return geometry

    def expect_mask(self, value: SSAValue, mask: str, g: AttentionGeometry) -> None:
        """The mask is [B or 1, H or 1, T or 1, S]. Raises VerifyException."""
        shape = ranked(value, "mask", 4, "i1" if mask == "boolean" else "float")
        if mask == "additive":
            expect_same_element(value, "mask", self.inputs()[0], "q")
        full = (g.batch, g.heads, g.queries, g.keys)
        fits = shape[3] == full[3] and all(
            have in (1, want) for have, want in zip(shape[:3], full[:3], strict=True)
        )
        require(fits, f"mask of shape {list(shape)} does not fit scores of shape {list(full)}")

    def arrange(self, array: Array) -> Array:
        """An array in `layout` as [B, H, T, D], or the reverse."""
        return array.swapaxes(1, 2) if text(self.layout) == "bthd" else array

    def visible(self, shape: Shape, rest: Sequence[Array]) -> Array:
        """Which scores of `shape` no condition hides: neither the boolean mask nor `causal`."""
        seen = np.tri(*shape[2:], dtype=np.bool_) if flag(self.causal) else np.bool_(True)
        if text(self.mask) == "boolean":
            seen = seen & rest[0]
        return np.broadcast_to(seen, shape)

    def scores(self, q: Array, k: Array, rest: Sequence[Array]) -> Array:
        """The scores [B, H, T, S], -inf where a key is invisible."""
        scores = np.matmul(q, k.swapaxes(-1, -2)) * number(self.scale)
        if text(self.mask) == "additive":
            scores = scores + widened(rest[0])
        return np.where(self.visible(scores.shape, rest), scores, -np.inf).astype(q.dtype)

    def masked_weight(self) -> float:
        """The probability of each key for a query that sees none."""
        return MASKED_ROWS[text(self.masked_rows)](self.geometry().keys)

    def dropped(self, scores: Array, rest: Sequence[Array]) -> Array:
        """The factor of each probability: 0 where it is dropped, else 1 / (1 - dropout)."""
        p = number(self.dropout)
        if p == 0:
            return np.ones_like(scores)
        keep = keep_mask(scores.shape, rest[-2], rest[-1], p, integer(self.stream))
        return keep.astype(scores.dtype) / scores.dtype.type(1 - p)


@irdl_op_definition
class AttentionOp(AttentionBase):
    """Attention of queries q to keys k with values v; see the module's text for the formula.

    layout "bhtd": q [B, H, T, D], k [B, H, S, D], v [B, H, S, E] -> out [B, H, T, E];
    "bthd": q [B, T, H, D], k [B, S, H, D], v [B, S, H, E] -> out [B, T, H, E].
    log_normalizer: [B, H, T] in both. mask: [B or 1, H or 1, T or 1, S], dims of 1 repeat;
    "boolean" i1 with true = visible, "additive" with the element type of q. All others floats.
    The dropout of probability (b, h, t, s) is that of element ((b H + h) T + t) S + s.
    """

    name = "nn.attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    rest = var_operand_def(TensorType)
    out = result_def(TensorType)
    log_normalizer = result_def(TensorType)

    def inputs(self) -> tuple[SSAValue, SSAValue, SSAValue, Sequence[SSAValue]]:
        return self.q, self.k, self.v, self.rest

    def infer(self) -> Sequence[Attribute]:
        g = self.checked()
        element = dtype_of(self.q).type
        out = self.heads_first((g.batch, g.heads, g.queries, g.width))
        return [tensor(out, element), tensor((g.batch, g.heads, g.queries), element)]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        q, k, v = (self.arrange(widened(array)) for array in args[:3])
        scores = self.scores(q, k, args[3:])
        highest: Array = np.max(scores, axis=-1, keepdims=True)
        blind = highest == -np.inf
        peak = np.where(blind, 0, highest).astype(scores.dtype)
        powers = np.exp(scores - peak)
        total = np.where(blind, 1, np.sum(powers, axis=-1, keepdims=True))
        weight = scores.dtype.type(self.masked_weight())
        probabilities = np.where(blind, weight, powers / total) * self.dropped(scores, args[3:])
        unseen = 0 if text(self.masked_rows) == "zero" else -np.inf
        normalizer = np.where(blind, unseen, peak + np.log(total))[..., 0]
        return self.arrange(np.matmul(probabilities, v)), normalizer

    def flops(self) -> int:
        """2 per multiply-add of both products."""
        return 2 * self.geometry().products


@irdl_op_definition
class AttentionGradOp(AttentionBase):
    """The gradients of nn.attention to q, k and v.

    dout, out: like the result; log_normalizer: [B, H, T]; q, k, v and rest: as there.
    With P the probabilities and R their dropout factors: dv = (P R)^T dout,
    dscore = P (R (dout v^T) - sum of dout out), or 0 where a condition hides the key,
    dq = scale dscore k, dk = scale dscore^T q.
    """

    name = "train.attention_grad"
    dout = operand_def(TensorType)
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    out = operand_def(TensorType)
    log_normalizer = operand_def(TensorType)
    rest = var_operand_def(TensorType)
    dq = result_def(TensorType)
    dk = result_def(TensorType)
    dv = result_def(TensorType)

    def inputs(self) -> tuple[SSAValue, SSAValue, SSAValue, Sequence[SSAValue]]:
        return self.q, self.k, self.v, self.rest

    def infer(self) -> Sequence[Attribute]:
        g = self.checked()
        expect_shape(
            self.out, "out", self.heads_first((g.batch, g.heads, g.queries, g.width)), self.q
        )
        expect_type(self.dout, "dout", self.out.type)
        expect_shape(self.log_normalizer, "log_normalizer", (g.batch, g.heads, g.queries), self.q)
        return [self.q.type, self.k.type, self.v.type]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        dout, q, k, v, out = (self.arrange(widened(array)) for array in args[:5])
        scores = self.scores(q, k, args[6:])
        normalizer = widened(args[5])[..., None]
        blind = normalizer == -np.inf
        weight = scores.dtype.type(self.masked_weight())
        probabilities = np.exp(scores - np.where(blind, 0, normalizer))
        if text(self.mask) == "additive":
            total = np.sum(probabilities, axis=-1, keepdims=True)
            probabilities = probabilities / np.where(total == 0, 1, total)
        probabilities = np.where(blind, weight, probabilities)
        factor = self.dropped(scores, args[6:])
        dv = np.matmul((probabilities * factor).swapaxes(-1, -2), dout)
        inner = np.sum(dout * out, axis=-1, keepdims=True)
        dscores = probabilities * (factor * np.matmul(dout, v.swapaxes(-1, -2)) - inner)
        hidden = blind & ~self.visible(scores.shape, args[6:])
        dscores = np.where(hidden, 0, dscores * number(self.scale)).astype(q.dtype)
        dq, dk = np.matmul(dscores, k), np.matmul(dscores.swapaxes(-1, -2), q)
        return self.arrange(dq), self.arrange(dk), self.arrange(dv)

    def flops(self) -> int:
        """2 per multiply-add: scores again, dv, dprobabilities, dq and dk."""
        g = self.geometry()
        cells = g.batch * g.heads * g.queries * g.keys
        return 2 * cells * (3 * g.depth + 2 * g.width)
