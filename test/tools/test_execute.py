"""Running functions by name, at every level of one program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from pock.tools.passes import named_pipeline
from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.lowering.execute import (
    DifferenceError,
    compare,
    difference,
    execute,
    input_slots,
    random_inputs,
)
from pock_ir.parse import read_module
from pock_ir.pipeline import Limits

NET = Path(__file__).parent.parent / "filecheck" / "Inputs" / "net.mlir"
PIPELINE = "training{optimizer=adam}"
STAGES = named_pipeline(PIPELINE).names()


def net(stage: str | None = None) -> ModuleOp:
    module = read_module(make_context(), NET)
    if stage is not None:
        named_pipeline(PIPELINE).run(make_context(), module, (), Limits(stage))
    return module


def expected(named: dict[str, np.ndarray]) -> np.ndarray:
    z = named["input:x"] @ named["parameter:fc.weight"].T + named["parameter:fc.bias"]
    return np.maximum(z, 0)


@pytest.mark.parametrize("stage", [None, *STAGES])
def test_infer_gives_the_same_at_every_stage(stage: str | None) -> None:
    module = net(stage)
    named = random_inputs(module, "infer", 3)
    assert set(named) == {"parameter:fc.weight", "parameter:fc.bias", "input:x"}
    ((key, result),) = execute(module, "infer", named).items()
    assert key == "output:y"
    np.testing.assert_allclose(result, expected(named), rtol=1e-5)


@pytest.mark.parametrize("stage", STAGES[STAGES.index("optimizer") :])
def test_the_step_gives_the_same_at_every_stage(stage: str) -> None:
    first, module = net("optimizer"), net(stage)
    named = random_inputs(first, "train_step")
    assert named["target:t"].max() < 3
    results = execute(module, "train_step", named)
    assert "update:exp_avg:fc.weight" in results and results["loss"].shape == ()
    assert results["update:fc.weight"].shape == (3, 5)
    for key, array in execute(first, "train_step", named).items():
        assert difference(array, results[key]) is None, key


def test_inputs_depend_on_the_seed_and_the_name_only() -> None:
    first, again = random_inputs(net(), "train", 1), random_inputs(net("plan"), "train_step", 1)
    for key, array in first.items():
        np.testing.assert_array_equal(array, again[key])
    assert (random_inputs(net(), "train", 2)["input:x"] != first["input:x"]).any()


def test_names_alone_are_enough() -> None:
    module = net()
    named = {key.partition(":")[2]: a for key, a in random_inputs(module, "infer").items()}
    assert execute(module, "infer", named)["output:y"].shape == (4, 3)


def test_errors_name_the_input() -> None:
    module = net()
    named = random_inputs(module, "infer")
    with pytest.raises(PockError, match="no function @nowhere"):
        execute(module, "nowhere", named)
    with pytest.raises(PockError, match="no array is given for 'input:x'"):
        execute(module, "infer", {k: a for k, a in named.items() if k != "input:x"})
    with pytest.raises(PockError, match="'input:x' should be float32 of shape"):
        execute(module, "infer", {**named, "input:x": np.zeros((5, 4), np.float32)})


def test_slots_are_in_the_framework_layout() -> None:
    slots = {slot.key: slot for slot in input_slots(net("plan"), "infer")}
    weight = slots["parameter:fc.weight"]
    assert weight.shape == (3, 5) and weight.permute == (1, 0)


def test_compare_finds_a_changed_value() -> None:
    before, after = net(), net()
    compare(before, after, "nothing")
    relu = next(op for op in after.walk() if op.name == "nn.relu")
    relu.results[0].replace_all_uses_with(relu.operands[0])
    with pytest.raises(DifferenceError, match="pass evil changed @train: loss: relative"):
        compare(before, after, "evil")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (np.float32([1, 2]), np.float32([1, 2 + 1e-6]), True),
        (np.float32([1, 2]), np.float32([1, 2.001]), False),
        (np.float32([np.nan, 2]), np.float32([np.nan, 2]), True),
        (np.float32([np.inf, 2]), np.float32([np.inf, 2]), True),
        (np.float32([np.inf, 2]), np.float32([-np.inf, 2]), False),
        (np.float32([1, 2]), np.float32([1, np.nan]), False),
        (np.int32([1, 2]), np.int32([1, 3]), False),
        (np.float32([1, 2]), np.float32([[1, 2]]), False),
        (np.float32([1, 2]), np.float64([1, 2]), False),
        # Zero but for rounding: there is no relative precision.
        (np.float32([1e-9, 0]), np.float32([-1e-9, 0]), True),
        (np.float32([]), np.float32([]), True),
    ],
)
def test_difference(a: np.ndarray, b: np.ndarray, same: bool) -> None:
    assert (difference(a, b) is None) == same
