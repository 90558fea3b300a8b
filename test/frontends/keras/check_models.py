"""Whole training runs against Keras on JAX: loss, every gradient, every updated tensor, 3 steps."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from keras_models import MODELS, job

from pock.compiler import Job, compile_job
from pock.frontends import import_model
from pock.verify import verify_program
from pock_ir.dialects import make_context
from pock_ir.interpret import find_function
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.optimizer import SGD
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.simplify import SimplifyPass


@pytest.mark.parametrize("name", MODELS)
def test_compiled_agrees(name: str) -> None:
    made = job(name)
    found = verify_program(made, 3)
    assert found.passed, "\n".join(str(row)[:200] for row in found.differing()[:10])
    gradients = {row.name for row in found.rows if row.kind == "gradient"}
    assert gradients == {variable.path for variable in made.model.trainable_variables}


WHOLE = {
    "sequential": {"nn.batch_norm": 2, "nn.silu": 1, "nn.dropout": 1, "nn.avg_pool2d": 1},
    "transformer": {"nn.layer_norm": 3, "nn.attention": 1, "nn.gelu": 1, "nn.dropout": 1},
    "subclassed": {"nn.batch_norm": 2, "nn.tanh": 2, "nn.dropout": 1, "nn.cross_entropy": 1},
}


@pytest.mark.parametrize("name", WHOLE)
def test_layers_become_whole(name: str) -> None:
    module = import_model(job(name)).module
    for action in (CanonicalizePass(), SimplifyPass(), RaiseOpsPass(fast_variance=True)):
        action.apply(make_context(), module)
    names = [op.name for op in find_function(module, "train").body.block.ops]
    assert {op: names.count(op) for op in WHOLE[name]} == WHOLE[name]


def test_pictures_keep_their_layout() -> None:
    module = import_model(job("sequential")).module
    assert not [op for op in module.walk() if op.name == "nn.transpose"]


def test_a_layer_norm_of_one_feature_is_exact() -> None:
    """Keras computes x * f - x * f, which is 0; contraction to one rounding would leave more."""
    inputs = keras.Input((5, 1))
    model = keras.Model(inputs, layers.LayerNormalization(epsilon=1e-6)(inputs))
    x = np.random.default_rng(0).standard_normal((3, 5, 1)).astype(np.float32)
    program = compile_job(Job(model, (x,), x, "mse", SGD(0.01), name="net"))
    (found,) = program.infer(x).values()
    assert not found.any()
