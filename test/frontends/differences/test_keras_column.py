"""The column of Keras has the same meaning on both of its backends."""

from __future__ import annotations

from pathlib import Path

from keras_on_jax import run_on_jax


def test_keras_on_jax() -> None:
    run_on_jax(Path(__file__).with_name("check_keras_column.py"))
