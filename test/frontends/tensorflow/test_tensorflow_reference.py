"""Running single nodes of a graph, as the training that programs are compared with does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pock.frontends.tensorflow.run_node import runner
from pock.frontends.tensorflow.verify import TensorFlowReference
from pock.reference import Setup
from pock_ir.diagnostics import PockError
from pock_ir.passes.optimizer import SGD

NCHW, NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def batch_norm_node(shape: tuple[int, ...], data_format: str, is_training: bool) -> Any:
    channel = [tf.TensorSpec((3,), tf.float32)] * 4
    function = tf.function(
        lambda x, *others: tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=others[0],
            offset=others[1],
            mean=others[2],
            variance=others[3],
            epsilon=1e-3,
            data_format=data_format,
            is_training=is_training,
        )[0]
    )
    graph = function.get_concrete_function(tf.TensorSpec(shape, tf.float32), *channel).graph
    return next(node for node in graph.get_operations() if node.type == "FusedBatchNormV3")


@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_of_both_layouts_in_double_precision(is_training: bool) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((2, 4, 5, 3)))
    channel = [tf.constant(rng.random(3) + 0.5) for _ in range(4)]
    last = runner(batch_norm_node((2, 4, 5, 3), "NHWC", is_training), True)
    first = runner(batch_norm_node((2, 3, 4, 5), "NCHW", is_training), True)
    expected = last([x, *channel])
    found = first([tf.transpose(x, NCHW), *channel])
    assert found[0].dtype == tf.float64
    np.testing.assert_allclose(tf.transpose(found[0], NHWC), expected[0], rtol=1e-12)
    for statistic, wanted in zip(found[1:3], expected[1:3], strict=True):
        np.testing.assert_allclose(statistic, wanted, rtol=1e-12)


def test_other_uses_of_variables_are_refused_at_their_line() -> None:
    held = tf.Variable(np.ones((4, 4), np.float32), name="w")
    rows = np.array([1], np.int32)

    def network(x: Any) -> Any:
        held.scatter_nd_add(rows[:, None], np.ones((1, 4), np.float32))
        return tf.matmul(x, held)

    x = np.ones((3, 4), np.float32)
    reference = TensorFlowReference(network, (x,), x, "mse")
    training = reference.training(Setup(SGD(0.0), {"w": None}, {}, 0), False, {})
    with pytest.raises(PockError, match="ResourceScatterNdAdd of a variable") as caught:
        training.backward(reference.batch())
    (diagnostic,) = caught.value.diagnostics
    line = network.__code__.co_firstlineno + 1
    assert diagnostic.location == f"test_tensorflow_reference.py:{line}:0"
    assert diagnostic.help
