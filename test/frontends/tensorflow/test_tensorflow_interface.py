"""How TensorFlow models are given to pock, and that nothing else loads TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import made

import pock
from pock.frontends import frontend_of
from pock.frontends.tensorflow.table import handlers
from pock.tools.catalogue import support_table
from pock_ir.diagnostics import PockError


def test_models_are_recognised() -> None:
    for name in ("raw_function", "module", "concrete"):
        assert frontend_of(made(name)[0]) == "tensorflow"
    with pytest.raises(PockError, match="is no model"):
        frontend_of(lambda x: x)
    assert frontend_of(lambda x: x, "tensorflow") == "tensorflow"


def test_pock_does_not_load_tensorflow() -> None:
    code = "import sys, pock, pock.compiler, pock.frontends; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_message_when_it_is_missing() -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import pock\n"
        "try: pock.compile(lambda x: x, (), None, frontend='tensorflow')\n"
        "except pock.PockError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs tensorflow" in done.stdout and "pock[tensorflow]" in done.stdout


def test_the_model_is_not_changed_and_weights_come_back() -> None:
    model, inputs, targets, loss = made("subclassed")
    before = [np.array(value) for value in model.get_weights()]
    options = {"update": "head", "name": "block"}
    program = pock.compile(model, inputs, targets, loss, keras.optimizers.Adam(1e-3), **options)
    assert np.isfinite([program.step(inputs[0], targets) for _ in range(2)]).all()
    after = model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_fixed_seed_is_a_constant() -> None:
    def noise(x: Any) -> Any:
        return x * tf.random.stateless_uniform(x.shape, (1, 2))

    x = np.ones((2, 3), np.float32)
    imported = pock.frontends.import_model(pock.Job(noise, (x,), x, "mse", frontend="tensorflow"))
    (name,) = imported.weights
    np.testing.assert_array_equal(imported.weights[name], noise(x))


def test_every_handler_is_documented() -> None:
    assert support_table()["tensorflow"].keys() == handlers().keys()
