"""Indices and labels out of range at run time: a program refuses them, as its framework does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F
from framework_models import TensorFlowModel, TorchModel, jax_model

import pock
from pock.frontends import import_model
from pock.frontends.jax.loss import cross_entropy
from pock_ir.diagnostics import PockError
from pock_ir.interpret import find_function

TABLE = np.cos(np.arange(12.0)).reshape(3, 4).astype(np.float32)
IDS, COLUMNS, LABELS = np.array([2, 0]), np.array([3, 0, 1]), np.array([1, 2])
CHANGES = {
    "rows": (np.array([3, 0]), COLUMNS, LABELS),
    "rows-before": (np.array([-1, 0]), COLUMNS, LABELS),
    "columns": (IDS, np.array([4, 0, 1]), LABELS),
    "columns-before": (IDS, np.array([3, -1, 1]), LABELS),
    "labels": (IDS, COLUMNS, np.array([1, 3])),
    "labels-before": (IDS, COLUMNS, np.array([1, -1])),
}


def torch_logits(x: Any, ids: Any, columns: Any) -> Any:
    return F.embedding(ids, x).index_select(1, columns)


def tensorflow_logits(x: Any, ids: Any, columns: Any) -> Any:
    return tf.gather(tf.gather(x, ids), columns, axis=1)


def jax_logits(x: Any, ids: Any, columns: Any) -> Any:
    return jnp.take(jnp.take(x, ids, 0), columns, 1)


def torch_loss(ids: Any, columns: Any, labels: Any) -> Any:
    given = [torch.from_numpy(array) for array in (ids, columns, labels)]
    return F.cross_entropy(torch_logits(torch.from_numpy(TABLE), *given[:2]), given[2])


def tensorflow_loss(ids: Any, columns: Any, labels: Any) -> Any:
    logits = tensorflow_logits(TABLE, ids, columns)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def jax_loss(ids: Any, columns: Any, labels: Any) -> Any:
    return cross_entropy(jax_logits(jnp.asarray(TABLE), ids, columns), labels)


Case = tuple[Callable[[], Any], Callable[..., Any], Callable[[Any], Any]]

FRAMEWORKS: dict[str, Case] = {
    "torch": (lambda: TorchModel(torch_logits, x=TABLE), torch_loss, torch.from_numpy),
    "tensorflow": (
        lambda: TensorFlowModel(tensorflow_logits, x=TABLE),
        tensorflow_loss,
        lambda array: array,
    ),
}


@cache
def program(name: str) -> Any:
    build, _, array = FRAMEWORKS[name]
    ids, columns, labels = map(array, (IDS, COLUMNS, LABELS))
    return pock.compile(build(), (ids, columns), labels, optimizer=pock.SGD(0.0), name=name)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_is_inside_is_taken(name: str) -> None:
    loss = FRAMEWORKS[name][1](IDS, COLUMNS, LABELS)
    assert program(name).step(IDS, COLUMNS, LABELS) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_is_outside_is_refused(name: str, change: str) -> None:
    # The frameworks' own errors have no common class.
    with pytest.raises(Exception, match=r"(?i)out of (data )?(range|bounds)|is not in|valid range"):
        FRAMEWORKS[name][1](*CHANGES[change])
    with pytest.raises(PockError, match="out of range"):
        program(name).step(*CHANGES[change])


def test_jax_computes_with_what_is_outside() -> None:
    """An index gives NaN, and a step whose loss is NaN is not taken; a label is refused."""
    small = [array.astype(np.int32) for array in (IDS, COLUMNS, LABELS)]
    model = jax_model(jax_logits, x=TABLE)
    made = pock.compile(model, tuple(small[:2]), small[2], optimizer=pock.SGD(0.0))
    assert made.step(*small) == pytest.approx(float(jax_loss(*small)), rel=1e-6)
    for change, message in (("rows", "finite"), ("columns", "finite"), ("labels", "out of range")):
        arrays = [array.astype(np.int32) for array in CHANGES[change]]
        assert np.isnan(jax_loss(*arrays))
        with pytest.raises(PockError, match=message):
            made.step(*arrays)


def test_types_of_labels() -> None:
    """pock takes narrower labels than PyTorch, whose bytes it does not take."""
    logits = torch.from_numpy(TABLE)
    narrow, bytes_ = (torch.from_numpy(np.array([1, 0, 3], t)) for t in (np.int32, np.uint8))
    model = TorchModel(lambda x: x * 1.0, x=TABLE)
    with pytest.raises(RuntimeError, match="expected target dtype"):
        F.cross_entropy(logits, narrow)
    function = find_function(import_model(pock.Job(model, (), narrow)).module, "train")
    assert "nn.cross_entropy" in [op.name for op in function.body.block.ops]
    assert F.cross_entropy(logits, bytes_) == F.cross_entropy(logits, narrow.long())
    with pytest.raises(PockError, match="uint8"):
        import_model(pock.Job(model, (), bytes_))
