"""Names for the tensors inside of inputs, targets and outputs, and their data as numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pock.frontends.common.refusal import Refusal
from pock_ir.types import Array, Tensor, dtype_of_numpy, tensor

SEPARATOR = "."


def is_tensor(value: Any) -> bool:
    """Whether `value` is data, and not an option or a structure."""
    return isinstance(value, np.ndarray | np.generic) or bool(tf.is_tensor(value))


def map_leaves(tree: Any, change: Callable[[str, Any], Any], root: str) -> Any:
    """`tree` with change(name, leaf) in the place of each leaf.

    root: the name of a leaf that stands alone, put before names that begin with a number. Tuples,
    lists and mappings are structures; named tuples and mappings name their parts.
    """

    def walk(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            return {key: walk(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, tuple | list):
            keys = getattr(value, "_fields", range(len(value)))
            items = [walk(item, (*path, str(k))) for k, item in zip(keys, value, strict=True)]
            kind: Any = type(value)
            return kind(*items) if hasattr(value, "_fields") else kind(items)
        return change(_name(path, root), value)

    return walk(tree, ())


def _name(path: tuple[str, ...], root: str) -> str:
    named = path if path and not path[0].isdigit() else (root, *path)
    return SEPARATOR.join(part for part in named if part)


def named_tensors(tree: Any, root: str) -> dict[str, Any]:
    """The tensors of `tree` by name, in order."""
    found: dict[str, Any] = {}

    def note(name: str, leaf: Any) -> None:
        if is_tensor(leaf):
            found[name] = leaf

    map_leaves(tree, note, root)
    return found


def with_tensors(tree: Any, tensors: Mapping[str, Any], root: str) -> Any:
    """`tree` with other tensors, by the names of `named_tensors`."""
    return map_leaves(tree, lambda name, leaf: tensors.get(name, leaf), root)


def dtype_name(dtype: Any) -> str:
    """The MLIR name of TensorFlow's element type. Raises Refusal if pock does not carry it."""
    try:
        return dtype_of_numpy(tf.as_dtype(dtype).as_numpy_dtype).name
    except (KeyError, TypeError):
        raise Refusal(f"element type {tf.as_dtype(dtype).name} is not supported") from None


def tensor_type_of(shape: Any, dtype: Any) -> Tensor:
    """The static tensor type. Raises Refusal if pock has no such."""
    if not shape.is_fully_defined():
        raise Refusal(f"shape {shape} is not static", "give example inputs with all sizes")
    sizes = shape.as_list()
    if 0 in sizes:
        raise Refusal(f"a tensor of shape {sizes} has no elements")
    return tensor(sizes, dtype_name(dtype))


def type_of_leaf(leaf: Any) -> Tensor:
    """The static tensor type of a tensor or array. Raises Refusal if pock has no such."""
    return tensor_type_of(tf.TensorShape(leaf.shape), leaf.dtype)


def to_numpy(value: Any) -> Array:
    """A contiguous copy of the data of a tensor, a variable or an array."""
    array = value if isinstance(value, np.ndarray | np.generic) else value.numpy()
    return np.array(array, order="C", copy=True)
