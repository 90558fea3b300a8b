"""Runs a file of tests in a Python of its own, with Keras on its JAX backend.

The backend of Keras is chosen once for a process, and other tests need TensorFlow's. To run a file
by hand: KERAS_BACKEND=jax python -m pytest -n0 FILE
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_on_jax(file: Path, chosen: str = "") -> None:
    """Run `file`, or of it what pytest's -k `chosen` selects; nothing may fail or be skipped."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, str(file), "-k", chosen],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout
