"""Saved, loaded and continued training is the same as uninterrupted training, bit for bit."""

from __future__ import annotations

import pytest
from safetensors.torch import load as load_safetensors
from small_models import OPTIMIZERS, arrays, job, program

from pock.compiler import compile_job


@pytest.mark.parametrize(
    ("family", "optimizer"),
    [
        *(("mlp", optimizer) for optimizer in OPTIMIZERS),
        ("dropout", "momentum"),
        ("bert", "momentum"),
        ("mobilenet", "momentum"),
    ],
)
def test_resume(family: str, optimizer: str) -> None:
    """2 steps, save, load in a new session, 3 steps; with dropout and running statistics."""
    compiled = program(family, optimizer)
    batch = arrays(family)
    whole, first, second = (compiled.new_session() for _ in range(3))
    losses = [whole.run("train_step", batch).loss for _ in range(5)]
    for _ in range(2):
        first.run("train_step", batch)
    second.load(first.save())
    assert second.steps == 2
    assert [second.run("train_step", batch).loss for _ in range(3)] == losses[2:]
    assert second.save() == whole.save()


def test_rate_and_seed_are_part_of_the_state() -> None:
    compiled = program("dropout", "momentum")
    first, second = compiled.new_session(), compiled.new_session()
    first.learning_rate, first.seed = 0.125, -7
    second.load(first.save())
    assert (second.learning_rate, second.seed) == (0.125, -7)


def test_dropout_depends_on_seed_and_step() -> None:
    compiled = program("dropout", "momentum")
    batch = arrays("dropout")
    losses = set()
    for seed in (0, 1):
        session = compiled.new_session()
        session.seed = seed
        session.learning_rate = 0.0
        losses |= {session.run("train_step", batch).loss for _ in range(2)}
    assert len(losses) == 4


def test_reset_optimizer_is_a_fresh_start() -> None:
    """After a reset the next step is the first one of an optimizer, on the parameters of now."""
    compiled = program("mlp", "adamw")
    batch = arrays("mlp")
    used, fresh = compiled.new_session(), compiled.new_session()
    used.learning_rate = 0.0
    used.run("train_step", batch)
    used.learning_rate = fresh.learning_rate
    used.reset_optimizer()
    assert used.steps == 0
    assert used.run("train_step", batch).loss == fresh.run("train_step", batch).loss
    assert used.save() == fresh.save()


@pytest.mark.parametrize("family", ["mlp", "dropout", "bert"])
def test_export_is_a_state_dict(family: str) -> None:
    """The framework loads it strictly, and then computes what the program computes."""
    made = job(family, "momentum")
    session = compile_job(made).new_session()
    batch = arrays(family)
    for _ in range(3):
        session.run("train_step", batch)
    made.model.load_state_dict(load_safetensors(session.export()), strict=True)
    outputs = next(iter(session.run("infer", batch[:-1]).arrays.values()))
    expected = made.model.eval()(*made.example_inputs).detach().numpy()
    assert abs(outputs - expected).max() <= 1e-5 * max(1.0, abs(expected).max())
