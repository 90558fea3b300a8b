"""Scaled dot-product attention: a product of probabilities and values.

softmax(scale q k^T + mask) v with or without dropout, for any number of leading dims, with factors
at q, k or the scores, and with either product written transposed (as einsum does).

Masks keep what they mean for a query from which all keys are hidden, see `masked_rows` of the op:

    scores where a condition holds, else -inf        nan
    scores + mask                                    nan, if -inf is added
    scores where a condition holds, else -3e38       uniform
    any of these, and then probabilities where the
    same condition holds, else 0 (as Keras does)     zero

Masks of several kinds are raised if one rule is right for all: hidden scores of two numbers, or of
a finite number beside an additive mask, stay decomposed around a whole softmax. So does a mask that
depends on parameters (a relative position bias): its gradient needs all scores in memory anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import LogicalAndOp, LogicalNotOp
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.dialects.shape import BroadcastOp, TransposeOp
from pock_ir.dialects.softmax import SoftmaxOp
from pock_ir.op import AttributeLike, integer, number
from pock_ir.passes.raising.masks import Condition, chosen
from pock_ir.passes.raising.match import Captures, Kinds, Pattern
from pock_ir.passes.raising.scores import Matrix, Scores, batch_and_heads, factor, scores_of
from pock_ir.passes.raising.table import Found, Raise
from pock_ir.passes.raising.views import Shape, View, lay, reshaped
from pock_ir.types import shape_of


@dataclass(frozen=True)
class Attention(Pattern):
    """A product that is attention: captures "scores", "dropout", "values" and "weights".

    weights: which factor the probabilities are. If it is the second, the result is transposed.
    """

    def may_fit(self, present: Kinds) -> bool:
        return SoftmaxOp in present

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if not isinstance(op, MatMulOp):
            return
        shape = shape_of(op.result)
        lead = tuple(range(len(shape) - 2))
        for weights in (0, 1):
            matrix = factor(op, weights, lead, shape[:-2], False).unflattened()
            dropout, matrix = undropped(matrix)
            zeroed, matrix = unzeroed(matrix)
            softmax = matrix.view.owner
            # The whole op keeps no probabilities: who else reads them would compute them again.
            if not isinstance(softmax, SoftmaxOp) or not softmax.result.has_one_use():
                continue
            if matrix.view.dims[-1] != integer(softmax.axis):
                continue
            scores = scores_of(Matrix(matrix.view.operand(0), matrix.frame))
            rule = None if scores is None else scores.masked_rows(zeroed)
            if rule is not None:
                values = factor(op, 1 - weights, lead, shape[:-2], True).unflattened()
                found = {"scores": scores, "dropout": dropout, "values": values}
                yield {
                    **known,
                    **found,
                    "weights": weights,
                    "lead": matrix.frame[:-2],
                    "rule": rule,
                }


def undropped(matrix: Matrix) -> tuple[DropoutOp | None, Matrix]:
    """The dropout that made this and what it was applied to, or None and the matrix itself.

    Random numbers belong to places in row-major order, so these have to be the same. A dropout
    that somebody else reads stays.
    """
    view = matrix.view
    present = [dim for dim in view.dims if dim is not None]
    in_order = view.spans(matrix.frame) and present == sorted(present)
    if isinstance(view.owner, DropoutOp) and in_order and view.base.has_one_use():
        return view.owner, Matrix(view.operand(0), matrix.frame).unflattened()
    return None, matrix


def unzeroed(matrix: Matrix) -> tuple[Condition | None, Matrix]:
    """The condition and the tensor if this is the tensor where it holds, else 0."""
    found = chosen(matrix.view)
    if found is None or found.fill != 0.0 or not matrix.view.base.has_one_use():
        return None, matrix
    return found.condition, Matrix(found.view, matrix.frame)


def masks(emit: Emitter, scores: Scores, lead: Shape) -> tuple[str, list[SSAValue]]:
    """The kind of mask and its operand."""
    if scores.mask is not None:
        return "additive", [mask_operand(emit, scores.mask, lead)]
    parts: list[SSAValue] = []
    for condition, frame in scores.parts():
        if not condition.is_causal:
            part = mask_operand(emit, Matrix(condition.view, frame), lead)
            parts.append(emit(LogicalNotOp, part) if condition.negated else part)
    return ("boolean", [reduce(lambda a, b: both(emit, a, b), parts)]) if parts else ("none", [])


def both(emit: Emitter, a: SSAValue, b: SSAValue) -> SSAValue:
    """Where both conditions hold; dims of 1 repeat."""
    shape = tuple(max(pair) for pair in zip(shape_of(a), shape_of(b), strict=True))
    return emit(LogicalAndOp, *(repeated(emit, value, shape) for value in (a, b)))


def repeated(emit: Emitter, value: SSAValue, shape: Shape) -> SSAValue:
    """The value with its dims of 1 repeated to `shape`."""
    own = shape_of(value)
    if own == shape:
        return value
    axes = [axis for axis, size in enumerate(own) if size == shape[axis]]
    kept = reshaped(emit, value, tuple(own[axis] for axis in axes))
    return emit(BroadcastOp, kept, shape=shape, axes=axes)


def mask_operand(emit: Emitter, mask: Matrix, lead: Shape) -> SSAValue:
    """The mask as [B or 1, H or 1, T or 1, S]; lead: batch and heads."""
    own, varies = mask.frame[:-2], mask.view.varies_along()
    count = len(own)
    repeats = not any(axis in varies for axis in range(count))
    # Each of batch and heads may repeat, but dims that are merged or split do so together.
    is_plain = len(lead) == 2 and own == lead
    kept = [
        axis
        for axis, _ in enumerate(mask.frame)
        if axis in varies or axis == count + 1 or (axis < count and not (is_plain or repeats))
    ]
    value = lay(emit, mask.view, mask.frame, kept)
    rows = mask.frame[count] if count in kept else 1
    if is_plain:
        first = tuple(size if axis in kept else 1 for axis, size in enumerate(own))
    else:
        first = (1, 1) if repeats else batch_and_heads(lead)
    return reshaped(emit, value, (*first, rows, mask.frame[-1]))


def attention(found: Found) -> SSAValue:
    """The whole op; its output transposed if the product was."""
    scores: Scores = found.captures["scores"]
    values: Matrix = found.captures["values"]
    dropout: DropoutOp | None = found.captures["dropout"]
    lead: Shape = found.captures["lead"]
    emit, frame = found.emit, found.frame
    kind, rest = masks(emit, scores, lead)
    drops: dict[str, AttributeLike] = {"dropout": 0.0, "stream": 0}
    if dropout is not None and number(dropout.p) > 0.0:
        rest += [dropout.seed, dropout.step]
        drops = {"dropout": number(dropout.p), "stream": integer(dropout.stream)}
    operands = [matrix.laid(emit, lead) for matrix in (scores.q, scores.k, values)]
    out = found.make(
        AttentionOp,
        *operands,
        *rest,
        layout="bhtd",
        scale=scores.scale,
        causal=scores.is_causal,
        mask=kind,
        masked_rows=found.captures["rule"],
        **drops,
    )
    if found.captures["weights"] == 0:
        return reshaped(emit, out, frame)
    rank = len(frame)
    out = reshaped(emit, out, (*frame[:-2], frame[-1], frame[-2]))
    return emit(TransposeOp, out, permutation=[*range(rank - 2), rank - 1, rank - 2])


ROWS = (Raise("attention", (MatMulOp,), Attention(), attention),)
