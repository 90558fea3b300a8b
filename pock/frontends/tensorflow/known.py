"""Values that are known while importing: constants, and what is computed from them.

TensorFlow computes them when a handler asks for their numbers. If the program needs one as a
tensor, it is written as ops where these exist (a causal mask is comparisons of indices, which fuse
and take no memory) and stored with the weights where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pock.frontends.tensorflow.run_node import runner
from pock_ir.types import Array


class Known:
    """One known value.

    node, operands: what it is computed by and from; None for data that is given.
    """

    def __init__(
        self, compute: Callable[[], Any], node: Any = None, operands: Sequence[Known] = ()
    ) -> None:
        self.node = node
        self.operands = operands
        self._compute = compute
        self._array: Array | None = None

    @property
    def array(self) -> Array:
        """The numbers."""
        if self._array is None:
            self._array = np.asarray(self._compute())
        return self._array


def given(value: Any) -> Known:
    """Data that is there already."""
    return Known(lambda: value)


def evaluated(node: Any, operands: Sequence[Known]) -> list[Known]:
    """The results of a node all of whose operands are known."""
    results: list[Any] = []

    def compute() -> list[Any]:
        if not results:
            with tf.init_scope():
                values = [tf.convert_to_tensor(operand.array) for operand in operands]
                results.extend(runner(node)(values))
        return results

    def reader(index: int) -> Callable[[], Any]:
        return lambda: compute()[index].numpy()

    return [Known(reader(index), node, operands) for index in range(len(node.outputs))]
