"""One training step of keras.applications against Keras on JAX; random weights, small pictures."""

from __future__ import annotations

import pytest
from keras_models import APPLICATIONS, job

from pock.verify import verify_program


@pytest.mark.parametrize("name", APPLICATIONS)
def test_one_step_agrees(name: str) -> None:
    made = job(name)
    found = verify_program(made, 1)
    assert found.passed, "\n".join(str(row)[:200] for row in found.differing()[:10])
    gradients = {row.name for row in found.rows if row.kind == "gradient"}
    assert gradients == {variable.path for variable in made.model.trainable_variables}
