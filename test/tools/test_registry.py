"""Passes by name, and their text in both directions."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from xdsl.passes import ModulePass

from pock.tools.passes import named_pipeline, pass_pipeline, working_levels
from pock_ir.diagnostics import PockError
from pock_ir.dialects.levels import LEVELS
from pock_ir.passes.optimizer import OptimizerPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.registry import all_passes, parse_passes, parse_specs, pass_text

ODD_NUMBERS = (1e-5, 1e300, 0.1, -0.0, 12345678.9)
ODD_TEXTS = ("", " ", "a,b", "{}", '"', "\\", "a=b", "\n", "true", "7", "1e-05", "größe", "x y'z")


def test_every_pass_states_its_level() -> None:
    known = {level.name for level in LEVELS}
    for info in all_passes().values():
        assert info.before in known and info.after in known, info.name
        assert info.summary and working_levels()[info.name]


def test_every_pass_of_the_pipeline_is_found() -> None:
    pipeline = named_pipeline("training")
    names = {action.name for stage in pipeline.stages for action in stage.passes}
    assert names <= set(all_passes())


def variants(kind: type[ModulePass]) -> list[ModulePass]:
    """The pass with its defaults, and with each option changed."""
    base: Any = kind()
    found = [base]
    for field in fields(base):
        value = getattr(base, field.name)
        if isinstance(value, bool):
            found.append(replace(base, **{field.name: not value}))
        elif isinstance(value, float):
            found += [replace(base, **{field.name: number}) for number in ODD_NUMBERS]
        elif isinstance(value, str):
            found += [replace(base, **{field.name: text}) for text in ODD_TEXTS]
    return found


@pytest.mark.parametrize("name", all_passes())
def test_text_gives_the_pass_back(name: str) -> None:
    for action in variants(all_passes()[name].type):
        assert parse_passes(pass_text([action])) == (action,)


def test_lists_of_passes() -> None:
    passes = (ApplySchemePass("last:2"), OptimizerPass("adam", eps=1e-12, gradients=True))
    assert parse_passes(pass_text(passes)) == passes
    assert parse_passes("") == ()
    assert parse_specs("a{x=1,2.5,b y},b")[0].options == {"x": (1, 2.5, "b"), "y": (True,)}


def test_dashes_and_underscores_are_the_same() -> None:
    assert parse_passes("add-optimizer{weight-decay=1}") == parse_passes(
        "add-optimizer{weight_decay=1.0}"
    )


def test_levels_change_on_the_way() -> None:
    pipeline = pass_pipeline("apply-scheme,autodiff,add-optimizer,train-to-kern,fuse", "nn")
    assert [stage.level for stage in pipeline.stages] == ["nn", "train", "train", "kern", "kern"]


def test_a_wrong_level_says_the_way() -> None:
    with pytest.raises(PockError, match="run first: autodiff,train-to-kern"):
        pass_pipeline("fuse", "nn")
    with pytest.raises(PockError, match="give it a module at level 'nn'"):
        pass_pipeline("apply-scheme", "kern")


def test_the_pipeline_takes_options() -> None:
    stages = named_pipeline("training{update=bias optimizer=adam eps=0.5 layout=keep}").stages
    found = {action.name: action for stage in stages for action in stage.passes}
    assert found["add-optimizer"] == OptimizerPass("adam", eps=0.5)
    assert found["apply-scheme"] == ApplySchemePass("bias")
