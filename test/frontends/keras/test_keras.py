"""Runs the tests of Keras on JAX, each part in a Python of its own; see `keras_on_jax`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from keras_on_jax import run_on_jax

HERE = Path(__file__).resolve().parent
APPLICATIONS = ("efficientnet-b0", "mobilenet-v2", "resnet-50")
PARTS = (
    *((f"check_{name}.py", "") for name in ("example", "files", "interface", "layers", "models")),
    *(("check_applications.py", name) for name in APPLICATIONS),
)
"""File, and which of its tests; parts run beside each other."""


def test_every_file_is_run() -> None:
    assert {file for file, _ in PARTS} == {path.name for path in HERE.glob("check_*.py")}


@pytest.mark.skipif(find_spec("keras") is None or find_spec("jax") is None, reason="needs both")
@pytest.mark.parametrize(("file", "chosen"), PARTS)
def test_keras_on_jax(file: str, chosen: str) -> None:
    run_on_jax(HERE / file, chosen)
