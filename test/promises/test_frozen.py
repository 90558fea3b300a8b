"""Frozen means frozen, and what is trained does not depend on what is frozen."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import arrays, job

from pock.compiler import compile_job, gradient_program
from pock.session import Session
from pock_ir.passes.scheme_rules import Rule, Scheme
from pock_ir.targets.c.program.images import framework_array
from pock_ir.targets.c.program.layout import ProgramLayout
from pock_ir.types import Array

FAMILY = "dropout"
NAMES = ("0.weight", "0.bias", "2.weight", "2.bias", "6.weight", "6.bias")


def gradients(update: Scheme | str) -> tuple[float, Mapping[str, Array], ProgramLayout]:
    """Loss and gradients of one step, in the framework's layout, of a program in plain C."""
    _, program = gradient_program(job(FAMILY, update=update, target="c"))
    results = program.new_session().run("train_step", arrays(FAMILY))
    assert results.loss is not None
    stored = {item.name: item for item in program.layout.region("state")}
    found = {
        name: np.transpose(array, np.argsort(stored[name].permute))
        for name, array in results.arrays.items()
    }
    return results.loss, found, program.layout


@functools.cache
def full() -> tuple[float, Mapping[str, Array], ProgramLayout]:
    return gradients("full")


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sets(st.sampled_from(NAMES), min_size=1), st.sampled_from([1.0, 0.5]))
def test_kept_gradients_are_those_of_the_full_program(names: set[str], ratio: float) -> None:
    """Bit for bit: the same kernels compute them, with less around them.

    A slice of a gradient is computed by a kernel of another shape, whose sums may run in another
    order; it is compared up to rounding.
    """
    rules = [Rule(name) for name in sorted(names)]
    if "6.weight" in names:
        rules.append(Rule("6.weight", ratio=ratio))
    loss, found, layout = gradients(Scheme(tuple(rules)))
    whole_loss, whole, _ = full()
    assert loss == whole_loss
    assert found.keys() == names
    for name, gradient in found.items():
        if gradient.shape == whole[name].shape:
            np.testing.assert_array_equal(gradient, whole[name], err_msg=name)
        else:
            part = whole[name][tuple(map(slice, gradient.shape))]
            scale = np.abs(part).max()
            np.testing.assert_allclose(gradient, part, rtol=1e-5, atol=1e-6 * scale, err_msg=name)
    stored = {item.name: item.region for item in layout.objects if item.kind == "parameter"}
    assert {name for name in NAMES if stored.get(name) == "state"} == names


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_frozen_parameters_keep_their_bytes(optimizer: str) -> None:
    """They lie in the constants, which the session maps and training does not touch."""
    update = Scheme((Rule("@bias"), Rule("@head", train=False)))
    made = job("mobilenet", optimizer, update=update)
    program = compile_job(made)
    session = program.new_session()
    before = session.constants.tobytes()
    trained = {item.name for item in program.layout.region("state") if item.kind == "parameter"}
    for _ in range(3):
        session.run("train_step", arrays("mobilenet"))
    assert session.constants.tobytes() == before
    assert before == program.files["net.constants.bin"]
    weights = {name: value.detach().numpy() for name, value in made.model.named_parameters()}
    for item in program.layout.region("constants"):
        if item.kind == "parameter":
            stored = framework_array(item, session.constants[64:])
            np.testing.assert_array_equal(stored, weights[item.name])
    assert trained == {n for n in weights if n.endswith(".bias") and not n.startswith("head")}
    _all_changed(session, weights, trained)


def _all_changed(session: Session, weights: Mapping[str, Array], names: set[str]) -> None:
    now = session.arrays()
    for name in names:
        assert (now[name] != weights[name]).any(), name


@pytest.mark.parametrize("optimizer", ["sgd-decay", "momentum", "adamw"])
def test_untrained_channels_keep_their_bytes(optimizer: str) -> None:
    """No gradient, no momentum and no weight decay reaches what is outside of the slice."""
    update = Scheme((Rule("layers.0.weight", ratio=0.5), Rule("layers.1.bias")))
    made = job("mlp", optimizer, update=update)
    program = compile_job(made)
    session = program.new_session()
    for _ in range(3):
        session.run("train_step", arrays("mlp"))
    before = made.model.layers[0].weight.detach().numpy()
    after = session.arrays()["layers.0.weight"]
    np.testing.assert_array_equal(after[:, 6:], before[:, 6:])
    assert (after[:, :6] != before[:, :6]).any()
    states = [item for item in program.layout.region("state") if item.kind == "state"]
    assert all(item.spec.values in (19 * 6, 5) for item in states)
