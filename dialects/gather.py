"""Elements chosen by index at run time, and the sums that are their gradients.

An index outside of 0..n-1 means what `out_of_range` says:

- clip: the nearest index inside;
- wrap: the index modulo n;
- fill: the result is `fill` there, and no gradient passes;
- check: an error: a program refuses inputs with such an index, and clips one that it computes.

Counting from the end (-1 for the last element) is arithmetic before the op.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import Shape, axis_of, expect_fit, one_of, operand_shape, ranked
from pock_ir.dialects.fields import integer_property, number_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, number, require, text
from pock_ir.types import Array, dtype_of, num_elements, shape_of, tensor

OUT_OF_RANGE = ("check", "clip", "fill", "wrap")


class IndexedOp(PockOp):
    """An op that reads or adds to elements by index along `axis`."""

    axis = integer_property()
    out_of_range = text_property()

    def checked_mode(self, size: int) -> None:
        """Raises VerifyException if there is no element that an index could name."""
        one_of(self.out_of_range, OUT_OF_RANGE, "out_of_range")
        require(size > 0, "there is nothing to index")

    def resolved(self, ids: Array, size: int) -> tuple[Array, Array]:
        """Indices inside of 0..size-1, and which of them count."""
        if text(self.out_of_range) == "wrap":
            return ids % size, np.ones(ids.shape, bool)
        inside = (ids >= 0) & (ids < size)
        counted = inside if text(self.out_of_range) == "fill" else np.ones(ids.shape, bool)
        return np.clip(ids, 0, size - 1), counted


def _indices(ids: SSAValue) -> Shape:
    return operand_shape(ids, "ids", "index")


class GatheringOp(IndexedOp):
    """An op that reads x [..., n, ...] at ids (i32 or i64)."""

    x = operand_def(TensorType)
    ids = operand_def(TensorType)
    axis = integer_property()
    out_of_range = text_property()
    fill = number_property()
    result = result_def(TensorType)

    def checked(self) -> tuple[Shape, int]:
        """The shape of x, and the axis. Raises VerifyException."""
        shape = operand_shape(self.x, "x", "any")
        axis = axis_of(self.axis, len(shape))
        self.checked_mode(shape[axis])
        expect_fit(number(self.fill), dtype_of(self.x), "fill")
        return shape, axis

    def filled(self, taken: Array, counted: Array) -> Array:
        """What was taken where the index counts, else `fill`."""
        fill = np.array(number(self.fill)).astype(taken.dtype)
        return np.where(counted, taken, fill)

    def flops(self) -> int:
        """None: elements are copied."""
        return 0


@irdl_op_definition
class GatherOp(GatheringOp):
    """x[..., ids, ...]: the slices of x along `axis` that ids name.

    x: any elements, n of them along axis; ids: i32 or i64 of any shape -> x with the dims of ids
    in the place of axis. fill is what slices out of range consist of, if out_of_range is "fill".
    """

    name = "nn.gather"

    def infer(self) -> Sequence[Attribute]:
        shape, axis = self.checked()
        sizes = [*shape[:axis], *_indices(self.ids), *shape[axis + 1 :]]
        return [tensor(sizes, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        x, ids = args
        axis = integer(self.axis)
        places, counted = self.resolved(ids, x.shape[axis])
        column = counted.reshape(ids.shape + (1,) * (x.ndim - axis - 1))
        return self.filled(np.take(x, places, axis), column)


@irdl_op_definition
class TakeAlongAxisOp(GatheringOp):
    """Element x[..., ids[i, j, k], ...] for each (i, j, k), where axis alone is replaced.

    x: any elements, n of them along axis; ids: i32 or i64, like x but for the size of axis ->
    like ids, with the elements of x. fill is the result out of range, if out_of_range is "fill".
    """

    name = "nn.take_along_axis"

    def infer(self) -> Sequence[Attribute]:
        shape, axis = self.checked()
        ids = ranked(self.ids, "ids", len(shape), "index")
        _expect_alike(ids, shape, axis)
        return [tensor(ids, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        x, ids = args
        axis = integer(self.axis)
        places, counted = self.resolved(ids, x.shape[axis])
        return self.filled(np.take_along_axis(x, places, axis), counted)


def _expect_alike(ids: Shape, shape: Shape, axis: int) -> None:
    wanted = (*shape[:axis], ids[axis], *shape[axis + 1 :])
    require(ids == wanted, f"ids of shape {list(ids)} should be like {list(shape)} but for {axis}")


class ScatteringOp(IndexedOp):
    """An op that adds floats to the elements of a result of 0 that ids name, in order."""

    ids = operand_def(TensorType)
    values = operand_def(TensorType)
    axis = integer_property()
    size = integer_property()
    out_of_range = text_property()
    result = result_def(TensorType)

    def flops(self) -> int:
        """One per element of values."""
        return num_elements(self.values)


@irdl_op_definition
class ScatterAddOp(ScatteringOp):
    """Slice i of values is added to slice ids[i] of the result, in order of i; others are 0.

    ids: i32 or i64; values: floats [..., *ids, ...] from dim axis on -> `size` elements along axis.
    It is the gradient of nn.gather to its x, and nn.gather is its own.
    """

    name = "nn.scatter_add"

    def infer(self) -> Sequence[Attribute]:
        ids, values = _indices(self.ids), operand_shape(self.values, "values")
        axis, size = integer(self.axis), integer(self.size)
        self.checked_mode(size)
        end = axis + len(ids)
        fits = axis >= 0 and values[axis:end] == ids and end <= len(values)
        shape = f"values of shape {list(values)}"
        require(fits, f"{shape} have no ids of shape {list(ids)} at axis {axis}")
        return [tensor([*values[:axis], size, *values[end:]], dtype_of(self.values).type)]

    def evaluate(self, *args: Array) -> Array:
        ids, values = args[0], widened(args[1])
        shape, axis = shape_of(self.result), integer(self.axis)
        places, counted = self.resolved(ids, shape[axis])
        slices = values.reshape(prod(shape[:axis]), ids.size, prod(shape[axis + 1 :]))
        total = np.zeros((slices.shape[0], shape[axis], slices.shape[2]), values.dtype)
        kept = counted.reshape(-1)
        at: Any = (slice(None), places.reshape(-1)[kept])
        np.add.at(total, at, slices[:, kept])
        return total.reshape(shape)


@irdl_op_definition
class TakeAlongAxisGradOp(ScatteringOp):
    """The gradient of nn.take_along_axis to its x: values are added to where they were taken.

    ids: i32 or i64; values: floats, shaped alike -> `size` elements along axis.
    """

    name = "train.take_along_axis_grad"

    def infer(self) -> Sequence[Attribute]:
        ids, values = _indices(self.ids), operand_shape(self.values, "values")
        axis, size = axis_of(self.axis, len(values)), integer(self.size)
        self.checked_mode(size)
        shape = f"values of shape {list(values)}"
        require(ids == values, f"{shape} should be like ids of shape {list(ids)}")
        return [tensor([*values[:axis], size, *values[axis + 1 :]], dtype_of(self.values).type)]

    def evaluate(self, *args: Array) -> Array:
        ids, values = args[0], widened(args[1])
        axis, size = integer(self.axis), integer(self.size)
        places, counted = self.resolved(ids, size)
        total = np.zeros(shape_of(self.result), values.dtype)
        at: list[Any] = list(cast(Any, np.indices(ids.shape, sparse=True)))
        at[axis] = places
        np.add.at(total, cast(Any, tuple(at)), np.where(counted, values, 0))
        return total
