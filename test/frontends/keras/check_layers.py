"""The ledger of Keras's parts is complete; a sample of it is tried again, with numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from imported_runs import gradients_of, run_imported
from layer_outcomes import job_of_part, outcome_of, parts, weighted

from pock.frontends import import_model
from pock.frontends.keras.model import KerasModel

LEDGER: dict[str, list[str]] = json.loads((Path(__file__).parent / "ledger.json").read_text())
EVERY = 9


def needs_more(part: str) -> bool:
    """Whether a layer needs a package that pock[keras] does not bring: flax, or TensorFlow."""
    kind, _, name = part.partition(".")
    module = getattr(keras.layers, name).__module__ if kind == "layers" else ""
    return name == "FlaxLayer" or ".preprocessing." in module


SAMPLE = [part for part in sorted(LEDGER) if not needs_more(part)][::EVERY]

COMPARED = (
    *("Attention", "Conv2DTranspose", "Dense", "EinsumDense", "GroupNormalization", "PReLU"),
    *("SeparableConv2D", "SimpleRNN", "UnitNormalization", "UpSampling2D", "ZeroPadding2D"),
)


def test_every_part_stands_in_the_ledger() -> None:
    assert list(LEDGER) == sorted(parts())
    assert {"yes"} < {forward for forward, _ in LEDGER.values()}


@pytest.mark.parametrize("part", SAMPLE)
def test_the_ledger_holds(part: str) -> None:
    """Whether it is supported; the words of a reason may be those of an earlier importer."""
    outcome = outcome_of(part)
    found = (outcome.forward, outcome.backward)
    assert [text.partition(":")[0] for text in found] == [
        text.partition(":")[0] for text in LEDGER[part]
    ]


@pytest.mark.parametrize("name", COMPARED)
def test_layers_agree(name: str) -> None:
    """Outputs and gradients of the smallest model, with those of Keras and JAX."""
    assert LEDGER[f"layers.{name}"] == ["yes", "yes"]
    job = job_of_part("layers", name)
    imported = import_model(job)
    (arrays,) = job.example_inputs
    given = dict(zip(imported.inputs, arrays, strict=True))
    found = run_imported(imported, "infer", given)
    for key, value in job.model(arrays, training=False).items():
        assert_close(found["output", key], value)
    pure = KerasModel(job.model).pure

    def loss(params: Any) -> Any:
        return weighted(pure.call(params, pure.state, (arrays,), True)[0], None)

    expected = jax.grad(loss)(pure.params)
    gradients = gradients_of(imported, given)
    assert gradients.keys() == expected.keys() != set()
    for path, value in expected.items():
        assert_close(gradients[path], value)


def assert_close(found: Any, expected: Any) -> None:
    exact = np.asarray(expected, np.float64)
    error = np.linalg.norm(np.asarray(found, np.float64) - exact)
    assert error <= 1e-5 * max(1.0, float(np.linalg.norm(exact)))
