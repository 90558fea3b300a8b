"""Values that are known while importing: constants, and what is computed from them.

TensorFlow computes them when a handler asks for their numbers. If the program needs one as a
tensor, it is written as ops where these exist (a causal mask is comparisons of indices, which fuse
and take no memory) and stored with the weights where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import tensorflow as tf

from pock.frontends.common.known import Known
from pock.frontends.tensorflow.run_node import runner


def given(value: Any) -> Known:
    """Data that is there already."""
    return Known(lambda: value)


def evaluated(node: Any, operands: Sequence[Known]) -> list[Known]:
    """The results of a node all of whose operands are known."""

    @cache
    def results() -> list[Any]:
        with tf.init_scope():
            return runner(node)([tf.convert_to_tensor(operand.array) for operand in operands])

    def reader(index: int) -> Callable[[], Any]:
        return lambda: results()[index].numpy()

    return [Known(reader(index), node, operands) for index in range(len(node.outputs))]
