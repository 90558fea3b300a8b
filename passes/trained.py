"""Which part of a parameter is trained: the `pock.train` mark of an argument.

A unit mark trains the whole tensor; a dictionary `{axis, begin, size}` trains the contiguous
slice `[begin, begin + size)` of one axis of the stored tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, UnitAttr, i64
from xdsl.ir import Attribute, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.shape import SliceOp
from pock_ir.op import integer
from pock_ir.types import Tensor, shape_of, tensor

MARK = "pock.train"
_KEYS = ("axis", "begin", "size")


@dataclass(frozen=True)
class TrainedSlice:
    """Elements `begin` to `begin + size - 1` along `axis`, and all of the other axes."""

    axis: int
    begin: int
    size: int

    def type_of(self, type: Tensor) -> Tensor:
        """The type of this slice of a tensor of `type`."""
        shape = list(shape_of(type))
        shape[self.axis] = self.size
        return tensor(shape, type.element_type)

    def take(self, emit: Emitter, value: SSAValue) -> SSAValue:
        """This slice of `value`."""
        return slice_axis(emit, value, self.axis, self.begin, self.size)

    def attribute(self) -> Attribute:
        """The mark that `trained_slice` reads back."""
        values = (self.axis, self.begin, self.size)
        return DictionaryAttr(
            {key: IntegerAttr(value, i64) for key, value in zip(_KEYS, values, strict=True)}
        )


def slice_axis(emit: Emitter, value: SSAValue, axis: int, begin: int, size: int) -> SSAValue:
    """Elements `begin` to `begin + size - 1` of `value` along `axis`; `value` if that is all."""
    shape = shape_of(value)
    if (begin, size) == (0, shape[axis]):
        return value
    low = [begin if i == axis else 0 for i in range(len(shape))]
    high = [begin + size if i == axis else dim for i, dim in enumerate(shape)]
    return emit(SliceOp, value, begin=low, end=high, stride=[1] * len(shape))


def trained_slice(mark: Attribute, type: Tensor) -> TrainedSlice | None:
    """The slice that `mark` names for a tensor of `type`; None stands for the whole tensor.

    Raises ValueError if the mark has another form or the slice lies outside of the tensor.
    """
    if isinstance(mark, UnitAttr):
        return None
    if not isinstance(mark, DictionaryAttr) or sorted(mark.data) != sorted(_KEYS):
        raise ValueError("it should be a unit attribute or {axis, begin, size}")
    if not all(isinstance(entry, IntegerAttr) for entry in mark.data.values()):
        raise ValueError("axis, begin and size should be integers")
    part = TrainedSlice(*(integer(mark.data[key]) for key in _KEYS))
    _check(part, shape_of(type))
    return None if part.size == shape_of(type)[part.axis] else part


def _check(part: TrainedSlice, shape: tuple[int, ...]) -> None:
    if not 0 <= part.axis < len(shape):
        raise ValueError(f"axis {part.axis} is not one of the {len(shape)} axes")
    end = part.begin + part.size
    if part.begin < 0 or part.size < 1 or end > shape[part.axis]:
        raise ValueError(
            f"[{part.begin}, {end}) is not within the {shape[part.axis]} elements of axis"
            f" {part.axis}"
        )
