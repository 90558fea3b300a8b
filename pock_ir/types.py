"""Tensor types and dtypes: one table between xDSL, numpy, C and byte sizes.

Every level of the compiler carries the dtype in the tensor type; nothing here assumes f32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, TypeGuard, cast

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    MemRefType,
    Signedness,
    TensorType,
)
from xdsl.ir import Attribute, BlockArgument, OpResult, SSAValue

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Tensor: TypeAlias = TensorType[Attribute]


@dataclass(frozen=True)
class DType:
    """One element type. `name` is its MLIR spelling, `bytes` its size in memory."""

    name: str
    type: Attribute
    numpy: np.dtype[Any]
    c: str
    bytes: int
    is_float: bool


def _integer(width: int) -> IntegerType:
    return IntegerType(width, Signedness.SIGNLESS)


# i1 is stored as one byte that is 0 or 1, on the host and on the device.
DTYPES: tuple[DType, ...] = (
    DType("f16", Float16Type(), np.dtype(np.float16), "_Float16", 2, True),
    DType("bf16", BFloat16Type(), np.dtype(ml_dtypes.bfloat16), "uint16_t", 2, True),
    DType("f32", Float32Type(), np.dtype(np.float32), "float", 4, True),
    DType("f64", Float64Type(), np.dtype(np.float64), "double", 8, True),
    DType("i1", _integer(1), np.dtype(np.bool_), "uint8_t", 1, False),
    DType("i8", _integer(8), np.dtype(np.int8), "int8_t", 1, False),
    DType("i16", _integer(16), np.dtype(np.int16), "int16_t", 2, False),
    DType("i32", _integer(32), np.dtype(np.int32), "int32_t", 4, False),
    DType("i64", _integer(64), np.dtype(np.int64), "int64_t", 8, False),
)

_BY_TYPE = {dtype.type: dtype for dtype in DTYPES}
_BY_NAME = {dtype.name: dtype for dtype in DTYPES}
_SHAPED = frozenset((TensorType, MemRefType))
_VALUES = frozenset((OpResult, BlockArgument))
_BY_NUMPY = {dtype.numpy: dtype for dtype in DTYPES}


def dtype_of(what: Attribute | SSAValue) -> DType:
    """The dtype of a tensor or memref type, of an element type or of a tensor value.

    Raises KeyError for an element type that pock does not carry.
    """
    type = what.type if _is_value(what) else cast(Attribute, what)
    shaped = type.__class__ in _SHAPED
    element = cast("Tensor", type).element_type if shaped else type
    found = _BY_TYPE.get(element)
    if found is None:
        raise KeyError(f"element type {element} is not supported")
    return found


def _is_value(what: Attribute | SSAValue) -> TypeGuard[SSAValue]:
    """isinstance, ten times as fast for the classes that there are: this is the hottest call."""
    return what.__class__ in _VALUES or isinstance(what, SSAValue)


def is_supported_element(type: Attribute) -> bool:
    return type in _BY_TYPE


def dtype_named(name: str) -> DType:
    """The dtype with the MLIR spelling `name`; raises KeyError if there is none."""
    return _BY_NAME[name]


def dtype_of_numpy(dtype: Any) -> DType:
    """The dtype that numpy calls `dtype`; raises KeyError if pock does not carry it."""
    return _BY_NUMPY[np.dtype(dtype)]


def tensor(shape: Sequence[int], dtype: str | Attribute = "f32") -> Tensor:
    """`tensor((2, 3))` is tensor<2x3xf32>."""
    element = _BY_NAME[dtype].type if isinstance(dtype, str) else dtype
    return TensorType(element, list(shape))


def tensor_type(value: SSAValue) -> Tensor:
    """The tensor type of `value`; raises TypeError if it is not a ranked tensor."""
    type = value.type
    if type.__class__ is not TensorType:
        raise TypeError(f"expected a tensor, got {type}")
    return cast("Tensor", type)


def shape_of(what: SSAValue | Tensor) -> tuple[int, ...]:
    """The static shape of a tensor value or type."""
    type = tensor_type(what) if _is_value(what) else cast("Tensor", what)
    return type.get_shape()


def num_elements(what: SSAValue | Tensor) -> int:
    return prod(shape_of(what))


def num_bytes(what: SSAValue | Tensor) -> int:
    """Bytes of a dense buffer of this tensor, without padding."""
    return num_elements(what) * dtype_of(what).bytes
