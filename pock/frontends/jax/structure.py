"""Names for the arrays inside nested parameters, inputs, targets and outputs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pock.frontends.common.refusal import Refusal
from pock.frontends.jax.table import (
    tensor_type_of,
)
from pock_ir.types import Array, Tensor

SEPARATOR = "/"


def path_name(path: Any) -> str:
    """Keys, attributes and indices joined: "Dense_0/kernel".

    The array of a flax.nnx variable lies in its attribute `value`, which says nothing.
    """
    if len(path) > 1 and getattr(path[-1], "name", None) == "value":
        path = path[:-1]
    return jax.tree_util.keystr(path, simple=True, separator=SEPARATOR)


def named_leaves(tree: Any, root: str = "") -> dict[str, Any]:
    """The leaves of `tree` by name, in JAX's order.

    root: the name of a leaf that stands alone, put before names that begin with a number.
    """
    found: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = path_name(path)
        if root and (not name or name.split(SEPARATOR)[0].isdigit()):
            name = SEPARATOR.join(filter(None, (root, name)))
        found[name] = leaf
    return found


def type_of_leaf(leaf: Any) -> Tensor:
    """The tensor type of an array. Raises Refusal if it is none, or one that pock has not."""
    try:
        return tensor_type_of(jax.api_util.shaped_abstractify(leaf))
    except TypeError as error:
        raise Refusal(str(error), "give an array") from None


def to_numpy(value: Any) -> Array:
    """A contiguous copy of an array's data."""
    return np.array(value, order="C", copy=True)
