"""Scaled dot-product attention: a product of probabilities and values.

softmax(scale q k^T + mask) v with or without dropout, for any number of leading dims, with factors
at q, k or the scores, and with either product written transposed (as einsum does).

Masks are raised where the whole op means the same for every query. A causal mask is: each query
sees a key. So is an additive mask whose elements are known to be finite; the whole op adds it, too.
Any other may hide all keys from a query by -inf: the decomposed form then gives NaN, the whole op
0. And a mask that depends on parameters (a relative position bias) needs a gradient, which the
whole op does not give. Those stay decomposed around a whole softmax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite, prod

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import AddOp
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.dialects.shape import ReshapeOp, TransposeOp
from pock_ir.dialects.softmax import SoftmaxOp
from pock_ir.op import AttributeLike, flag, integer, number
from pock_ir.passes.raising.masks import is_causal, is_finite, visible_scores
from pock_ir.passes.raising.match import Captures, Kinds, Pattern
from pock_ir.passes.raising.products import split
from pock_ir.passes.raising.table import Found, Raise
from pock_ir.passes.raising.views import Dims, Shape, View, follow, lay, paired, reshaped
from pock_ir.types import shape_of


@dataclass(frozen=True)
class Matrix:
    """A batch of matrices [lead..., rows, columns] as a view over a frame of that shape."""

    view: View
    frame: Shape

    def unscaled(self) -> tuple[float, Matrix]:
        """(c, x) if this is c times x, with as much in c as possible."""
        found = [(scale, views[0]) for scale, views in split(self.view, 1) if views]
        scale, view = found[-1] if found else (1.0, self.view)
        return scale, Matrix(view, self.frame)

    def unflattened(self) -> Matrix:
        """The same matrices before a reshape that only merges or splits leading dims."""
        op, dims = self.view.owner, self.view.dims
        if not isinstance(op, ReshapeOp):
            return self
        source, shape = shape_of(op.x), shape_of(op.result)
        last = len(shape) - 2
        lead = [dim for dim in dims[:-2] if dim is not None]
        in_order = lead == [dim for dim in range(last) if shape[dim] != 1]
        stays = all(dim is None or dim >= last for dim in dims[-2:])
        if len(source) < 2 or source[-2:] != shape[-2:] or not (in_order and stays):
            return self
        more = len(source) - len(shape)
        own = [None if dim is None else dim + more for dim in dims[-2:]]
        view = follow(op.x, paired((*range(len(source) - 2), *own), source))
        return Matrix(view, (*source[:-2], *self.frame[-2:])).unflattened()

    def laid(self, emit: Emitter, lead: Shape) -> SSAValue:
        """The value as [B, H, rows, columns]; lead: what batch and heads are, row-major."""
        value = lay(emit, self.view, self.frame, range(len(self.frame)))
        return reshaped(emit, value, (*batch_and_heads(lead), *self.frame[-2:]))


def batch_and_heads(lead: Shape) -> tuple[int, int]:
    """Leading dims as two."""
    return (lead[0], lead[1]) if len(lead) == 2 else (prod(lead), 1)


def factor(op: MatMulOp, index: int, lead: Dims, sizes: Shape, inner_first: bool) -> Matrix:
    """A factor as [lead..., own, inner], or [lead..., inner, own]: inner is summed over.

    lead: the dims of the product that the leading axes are; sizes: theirs.
    """
    value = op.operands[index]
    shape = shape_of(value)
    own, inner = len(shape) - 2, len(shape) - 1
    if flag(op.transpose_lhs) if index == 0 else not flag(op.transpose_rhs):
        own, inner = inner, own
    last = (inner, own) if inner_first else (own, inner)
    view = follow(value, paired((*lead, *last), shape))
    return Matrix(view, (*sizes, *(shape[dim] for dim in last)))


@dataclass(frozen=True)
class Scores:
    """scale * q k^T plus a mask, where a key is visible: see `AttentionOp`."""

    q: Matrix
    k: Matrix
    scale: float
    mask: Matrix | None = None
    causal: bool = False


def scores_of(matrix: Matrix) -> Scores | None:
    """The parts of scores [lead..., T, S]."""
    matrix = matrix.unflattened()
    view, frame = matrix.view, matrix.frame
    seen = visible_scores(view)
    if seen is not None:
        found = scores_of(Matrix(seen, frame))
        return None if found is None else replace(found, causal=True)
    if not isinstance(view.owner, AddOp):
        return products_of(matrix)
    for index in (0, 1):
        found = products_of(Matrix(view.operand(index), frame))
        mask = view.operand(1 - index)
        if found is not None and is_causal(mask):
            return replace(found, causal=True)
        if found is not None and is_finite(mask.base):
            return replace(found, mask=Matrix(mask, frame))
    return None


def products_of(matrix: Matrix) -> Scores | None:
    """scale * q k^T; the product may be k q^T, transposed."""
    outer, matrix = matrix.unscaled()
    scale, matrix = matrix.unflattened().unscaled()
    op, (*lead, row, column) = matrix.view.owner, matrix.view.dims
    if not isinstance(op, MatMulOp):
        return None
    last = len(shape_of(op.result)) - 1
    queries, keys = (0, 1) if column == last else (1, 0)
    wanted, sizes = (last - 1, last)[queries], matrix.frame[:-2]
    is_product = column == (last - 1, last)[keys] and (row == wanted or matrix.frame[-2] == 1)
    if not is_product or any(dim is not None and dim >= last - 1 for dim in lead):
        return None
    q_scale, q = factor(op, queries, tuple(lead), sizes, False).unflattened().unscaled()
    k_scale, k = factor(op, keys, tuple(lead), sizes, False).unflattened().unscaled()
    scale *= outer * q_scale * k_scale
    return Scores(q, k, scale) if isfinite(scale) else None


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
            softmax = matrix.view.owner
            # The whole op keeps no probabilities: who else reads them would compute them again.
            if not isinstance(softmax, SoftmaxOp) or not softmax.result.has_one_use():
                continue
            if matrix.view.dims[-1] != integer(softmax.axis):
                continue
            scores = scores_of(Matrix(matrix.view.operand(0), matrix.frame))
            if scores is not None:
                values = factor(op, 1 - weights, lead, shape[:-2], True).unflattened()
                found = {"scores": scores, "dropout": dropout, "values": values}
                yield {**known, **found, "weights": weights, "lead": matrix.frame[:-2]}


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
    rest = [] if scores.mask is None else [mask_operand(emit, scores.mask, lead)]
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
        causal=scores.causal,
        mask="none" if scores.mask is None else "additive",
        **drops,
    )
    if found.captures["weights"] == 0:
        return reshaped(emit, out, frame)
    rank = len(frame)
    out = reshaped(emit, out, (*frame[:-2], frame[-1], frame[-2]))
    return emit(TransposeOp, out, permutation=[*range(rank - 2), rank - 1, rank - 2])


ROWS = (Raise("attention", (MatMulOp,), Attention(), attention),)
