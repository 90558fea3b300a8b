"""What `infer` methods ask of operands and properties.

Each function returns what was checked, and raises VerifyException with a message that names
the operand or property and says what it should have been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any, cast

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock_ir.diagnostics import quote
from pock_ir.op import integer, ints, number, require, text
from pock_ir.types import DType, Tensor, dtype_of, is_supported_element, tensor

Shape = tuple[int, ...]

KINDS: Mapping[str, Callable[[DType], bool]] = {
    "float": lambda dtype: dtype.is_float,
    "number": lambda dtype: dtype.name != "i1",
    "i1": lambda dtype: dtype.name == "i1",
    "integer": lambda dtype: not dtype.is_float and dtype.name != "i1",
    "index": lambda dtype: dtype.name in ("i32", "i64"),
    "any": lambda dtype: True,
}
"""What an op can ask of an element type; the keys appear in messages."""


def checked_tensor(type: Attribute, what: str, kind: str = "any") -> Tensor:
    """`type` as a static tensor type with a supported element type of `kind`."""
    if not isinstance(type, TensorType):
        raise VerifyException(f"{what} should be a tensor, not {type}")
    checked = cast(Tensor, type)
    element = checked.element_type
    require(is_supported_element(element), f"{what} has unsupported element type {element}")
    require(KINDS[kind](dtype_of(element)), f"{what} should have {kind} elements, not {element}")
    if any(dim < 0 for dim in checked.get_shape()):
        raise VerifyException(f"{what} should have a static shape, not {checked}")
    return checked


def operand_type(value: SSAValue, what: str, kind: str = "any") -> Tensor:
    """The type of operand `value`, see `checked_tensor`."""
    return checked_tensor(value.type, what, kind)


def operand_shape(value: SSAValue, what: str, kind: str = "float") -> Shape:
    """The shape of operand `value`, see `checked_tensor`."""
    return tuple(checked_tensor(value.type, what, kind).get_shape())


def ranked(value: SSAValue, what: str, rank: int, kind: str = "float") -> Shape:
    """The shape of operand `value`, which has exactly `rank` dimensions."""
    shape = operand_shape(value, what, kind)
    require(len(shape) == rank, f"{what} should have rank {rank}, not {len(shape)}")
    return shape


def expect_shape(value: SSAValue, what: str, shape: Sequence[int], like: SSAValue) -> None:
    """`value` is a tensor of `shape` with the element type of `like`."""
    expect_type(value, what, tensor(shape, dtype_of(like).type))


def expect_type(value: SSAValue, what: str, wanted: Attribute) -> None:
    """`value` has exactly the type `wanted`."""
    require(value.type == wanted, f"{what} should be {wanted}, not {value.type}")


def expect_same_element(value: SSAValue, what: str, like: SSAValue, like_what: str) -> None:
    """`value` has the element type of `like`; both are known to be tensors."""
    found, wanted = dtype_of(value).name, dtype_of(like).name
    require(found == wanted, f"{what} has {found} elements, but {like_what} has {wanted}")


def axis_of(attr: Attribute, rank: int, what: str = "axis") -> int:
    """An axis from 0 to rank-1."""
    axis = integer(attr)
    require(0 <= axis < rank, f"{what} {axis} is out of range for rank {rank}")
    return axis


def axes_of(attr: Attribute, rank: int, what: str = "axes") -> Shape:
    """Distinct axes from 0 to rank-1 in ascending order."""
    axes = ints(attr)
    for axis in axes:
        require(0 <= axis < rank, f"{what}: {axis} is out of range for rank {rank}")
    ascending = all(a < b for a, b in pairwise(axes))
    require(ascending, f"{what} should be distinct and ascending, not {list(axes)}")
    return axes


def sizes_of(attr: Attribute, what: str) -> Shape:
    """A list of sizes of which none is negative."""
    sizes = ints(attr)
    require(all(size >= 0 for size in sizes), f"{what} may not be negative: {list(sizes)}")
    return sizes


def counted(attr: Attribute, count: int, least: int, what: str) -> Shape:
    """Exactly `count` integers, each at least `least`."""
    values = ints(attr)
    require(len(values) == count, f"{what} should have {count} values, not {len(values)}")
    fits = all(value >= least for value in values)
    require(fits, f"{what} should be at least {least}, not {list(values)}")
    return values


def pair_of(attr: Attribute, least: int, what: str) -> tuple[int, int]:
    """Two integers (height, width), each at least `least`."""
    height, width = counted(attr, 2, least, what)
    return height, width


def one_of(attr: Attribute, choices: Sequence[str], what: str) -> str:
    """One of the words `choices`."""
    word = text(attr)
    known = ", ".join(choices)
    require(word in choices, f"{what} should be one of {known}, not {quote(word)}")
    return word


def between(attr: Attribute, least: float, most: float, what: str, open_end: bool = False) -> float:
    """A number in [least, most], or in [least, most) with `open_end`."""
    value = number(attr)
    inside = least <= value < most if open_end else least <= value <= most
    end = ")" if open_end else "]"
    require(inside, f"{what} should be in [{least}, {most}{end}, not {value}")
    return value


def finite_number(attr: Attribute, what: str, least: float = -np.inf) -> float:
    """A finite number that is at least `least`."""
    value = number(attr)
    require(isfinite(value), f"{what} should be finite, not {value}")
    require(value >= least, f"{what} should be at least {least}, not {value}")
    return value


def expect_fit(value: float, dtype: DType, what: str) -> None:
    """`value` can be stored as `dtype`: no overflow, and for integers no fraction."""
    require(_fits(value, dtype), f"{what} {value} does not fit {dtype.name}")


def _float_info(dtype: DType) -> Any:
    return cast(Any, ml_dtypes).finfo(dtype.numpy)


def largest_exact_integer(dtype: DType) -> int:
    """The n up to which every integer 0..n can be stored as `dtype`."""
    if dtype.is_float:
        return 2 ** (int(_float_info(dtype).nmant) + 1)
    return 1 if dtype.name == "i1" else int(np.iinfo(dtype.numpy).max)


def _fits(value: float, dtype: DType) -> bool:
    if dtype.is_float:
        return not isfinite(value) or abs(value) <= float(_float_info(dtype).max)
    if not isfinite(value) or value != int(value):
        return False
    if dtype.name == "i1":
        return value in (0, 1)
    info = np.iinfo(dtype.numpy)
    return int(info.min) <= int(value) <= int(info.max)
