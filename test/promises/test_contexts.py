"""Results depend on nothing but the program, its state and its inputs."""

from __future__ import annotations

import pytest
import torch
from painted_run import build, run, write_program
from small_models import arrays, program

from pock.session import Session


def train(session: Session, batch: list[torch.Tensor], steps: int = 3) -> bytes:
    for _ in range(steps):
        session.run("train_step", batch)
    return session.save()


@pytest.mark.parametrize("family", ["mobilenet", "bert"])
def test_who_runs_the_parts_does_not_matter(family: str) -> None:
    """With the pool, and one after the other on the caller's thread."""
    compiled = program(family, "momentum", target="host:threads=2")
    batch = arrays(family)
    pooled, alone = compiled.new_session(), compiled.new_session()
    alone.detach_threads()
    assert train(pooled, batch) == train(alone, batch)


def test_two_contexts_beside_each_other(tmp_path) -> None:
    """Their steps alternate in one process; each gives what it gives in a process of its own."""
    compiled = program("dropout", "momentum")
    batch = arrays("dropout")
    swapped = [array.flip(0) for array in batch]
    left, right = compiled.new_session(), compiled.new_session()
    right.seed = 5
    for _ in range(2):
        left.run("train_step", batch)
        right.run("train_step", swapped)
    root = write_program(compiled, tmp_path)
    outcome = run(compiled, build(compiled, root), batch, steps=2)
    assert left.save() == outcome.image
    again = compiled.new_session()
    again.seed = 5
    assert train(again, swapped, 2) == right.save()


@pytest.mark.parametrize("entry", ["eval", "infer"])
def test_evaluation_changes_nothing(entry: str) -> None:
    compiled = program("dropout", "momentum")
    session = compiled.new_session()
    batch = arrays("dropout")
    train(session, batch)
    before = session.save()
    given = batch if entry == "eval" else batch[:-1]
    first = session.run(entry, given)
    second = session.run(entry, given)
    assert session.save() == before
    assert first.loss == second.loss
    for name, value in first.arrays.items():
        assert (value == second.arrays[name]).all()
