"""One training step of keras.applications against Keras on JAX; random weights, small pictures."""

from __future__ import annotations

import pytest
from keras_models import APPLICATIONS, job

from pock.verify import verify_program


@pytest.mark.parametrize("name", APPLICATIONS)
def test_compiled_agrees(name: str) -> None:
    found = verify_program(job(name), 1)
    assert found.passed, "\n".join(str(row)[:200] for row in found.differing()[:10])
