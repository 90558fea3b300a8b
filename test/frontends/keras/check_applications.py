"""keras.applications compile to C that infers what Keras on JAX does; random weights.

Whole trainings of these are verified by `benchmarks.verify_full_size`: batch norm amplifies the
rounding of such deep nets so far that it takes repeated runs.
"""

from __future__ import annotations

import numpy as np
import pytest
from keras_models import APPLICATIONS, job

from pock.compiler import compile_job


@pytest.mark.parametrize("name", APPLICATIONS)
def test_inference_and_names(name: str) -> None:
    made = job(name)
    program = compile_job(made)
    (outputs,) = program.infer(*made.example_inputs).values()
    wanted = np.asarray(made.model(*made.example_inputs, training=False))
    assert np.linalg.norm(outputs - wanted) <= 1e-5 * np.linalg.norm(wanted)
    stored = {item.name for item in program.layout.region("state")}
    assert {variable.path for variable in made.model.trainable_variables} <= stored
    assert np.isfinite(program.step(*made.example_inputs, made.example_targets))
