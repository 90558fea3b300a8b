"""Runs the tests of Keras on JAX, each part in a Python of its own.

The backend of Keras is chosen once for a process, and other tests here need TensorFlow's. To run
one file by hand: KERAS_BACKEND=jax python -m pytest -n0 test/frontends/keras/check_interface.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
APPLICATIONS = ("efficientnet-b0", "mobilenet-v2", "resnet-50")
PARTS = (
    *((f"check_{name}.py", "") for name in ("interface", "models")),
    *(("check_applications.py", name) for name in APPLICATIONS),
)
"""File, and which of its tests; parts run beside each other."""


def test_every_file_is_run() -> None:
    assert {file for file, _ in PARTS} == {path.name for path in HERE.glob("check_*.py")}


@pytest.mark.skipif(find_spec("keras") is None or find_spec("jax") is None, reason="needs both")
@pytest.mark.parametrize(("file", "chosen"), PARTS)
def test_keras_on_jax(file: str, chosen: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, str(HERE / file), "-k", chosen],
        env=environment,
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout
