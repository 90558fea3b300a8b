"""Attention scores: scale * q k^T, and what masks them.

Factors may stand at q, k or the product, which may be written transposed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, isfinite, prod

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.op import flag
from pock_ir.passes.raising.masks import Condition, Hidden, hidden_scores, is_causal, is_data
from pock_ir.passes.raising.products import split
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
    """scale * q k^T plus a mask, where a key is visible: see `AttentionOp`.

    conditions: keys are visible where all hold, each over its frame. fill: the score of the others;
    None if there is no condition. adds_causal: a causal mask is added.
    """

    q: Matrix
    k: Matrix
    scale: float
    mask: Matrix | None = None
    conditions: tuple[tuple[Condition, Shape], ...] = ()
    fill: float | None = None
    adds_causal: bool = False

    @property
    def is_causal(self) -> bool:
        return self.adds_causal or any(part.is_causal for part, _ in self.parts())

    def parts(self) -> Iterator[tuple[Condition, Shape]]:
        """The conditions taken apart, without those that always hold."""
        for condition, frame in self.conditions:
            yield from ((part, frame) for part in condition.parts() if not part.is_always)

    def masked_rows(self, zeroed: Condition | None) -> str | None:
        """What a query without a key gets, see `AttentionOp`; None if no rule is right.

        zeroed: probabilities are set to 0 where this does not hold.
        """
        if zeroed is not None:
            only = [condition for condition, _ in self.conditions] == [zeroed]
            return "zero" if only and self.mask is None and not self.adds_causal else None
        return "nan" if self.fill is None or self.fill == -inf else "uniform"

    def where(self, hidden: Hidden, frame: Shape) -> Scores | None:
        """These scores where one more condition holds; None if the whole op has no such rows."""
        same = self.fill is None or self.fill == hidden.fill
        found = replace(
            self, conditions=(*self.conditions, (hidden.condition, frame)), fill=hidden.fill
        )
        if not same or self.adds_causal:
            return None
        if self.mask is None:
            return found
        causal = all(part.is_causal for part, _ in found.parts())
        return found if causal and hidden.fill == -inf else None


def scores_of(matrix: Matrix) -> Scores | None:
    """The parts of scores [lead..., T, S]."""
    matrix = matrix.unflattened()
    view, frame = matrix.view, matrix.frame
    hidden = hidden_scores(view)
    if hidden is not None:
        found = scores_of(Matrix(hidden.view, frame))
        return None if found is None else found.where(hidden, frame)
    if not isinstance(view.owner, AddOp):
        return products_of(matrix)
    for index in (0, 1):
        found = products_of(Matrix(view.operand(index), frame))
        mask = view.operand(1 - index)
        if found is not None and is_causal(mask):
            return replace(found, adds_causal=True)
        if found is not None and is_data(mask.base):
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
