"""Ops along one axis where each result is a fixed sum of elements, and the plainest: reversal.

What an op computes is the table `taps`: for each index of the result along `axis`, which indices
of the operand are added up, and with which weights. Several axes take several ops. The gradient
is the op with the transposed table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import axis_of, operand_type
from pock_ir.dialects.fields import integer_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, require
from pock_ir.types import Array, dtype_of, num_elements, shape_of, tensor

LONGEST = 1 << 22
"""Elements of an axis; a table of more would not fit a compiler."""

Taps: TypeAlias = Sequence[Sequence[tuple[int, float]]]
"""For each index of the result: (index of the operand, weight), the indices ascending."""


class AxisMapOp(PockOp):
    """An op whose result is `taps` applied along `axis` of its only operand."""

    axis = integer_property()

    @abstractmethod
    def taps(self) -> Taps:
        """The table of the op, whose properties have been checked."""

    def is_move(self) -> bool:
        """Whether every result element is one element of the operand."""
        return False

    def checked_axis(self, kind: str) -> int:
        """`axis`, of an operand with `kind` elements. Raises VerifyException."""
        rank = len(shape_of(operand_type(self.operands[0], "operand 0", kind)))
        return axis_of(self.axis, rank)

    def resized(self, size: int) -> Attribute:
        """The type of operand 0 with another size along `axis`."""
        x = self.operands[0]
        shape = list(shape_of(x))
        for count in (size, shape[integer(self.axis)]):
            require(count <= LONGEST, f"an axis of {count} elements is too long for a table")
        shape[integer(self.axis)] = size
        return tensor(shape, dtype_of(x).type)

    def evaluate(self, *args: Array) -> Array:
        axis, taps = integer(self.axis), self.taps()
        if self.is_move():
            return np.take(args[0], [first for ((first, _),) in taps], axis)
        x = np.moveaxis(widened(args[0]), axis, 0)
        rows = np.zeros((len(taps), *x.shape[1:]), x.dtype)
        for row, pairs in zip(rows, taps, strict=True):
            for index, weight in pairs:
                row += x[index] * np.asarray(weight, x.dtype)
        return np.moveaxis(rows, 0, axis)

    def flops(self) -> int:
        """None for moves, else a product and a sum for each element that is added."""
        return 0 if self.is_move() else 2 * self.added()

    def added(self) -> int:
        """How many elements are added up: each of the operand once, unless an op says else."""
        return num_elements(self.operands[0])


def transposed(taps: Taps, size: int) -> Taps:
    """The table of the gradient: which results an operand of `size` went to."""
    back: list[list[tuple[int, float]]] = [[] for _ in range(size)]
    for index, pairs in enumerate(taps):
        for source, weight in pairs:
            back[source].append((index, weight))
    return back


@irdl_op_definition
class ReverseOp(AxisMapOp):
    """x with the order along `axis` reversed."""

    name = "nn.reverse"
    x = operand_def(TensorType)
    axis = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        return [self.resized(shape_of(self.x)[self.checked_axis("any")])]

    def taps(self) -> Taps:
        size = shape_of(self.x)[integer(self.axis)]
        return [((index, 1.0),) for index in reversed(range(size))]

    def is_move(self) -> bool:
        return True
