"""The parts of the demo that need neither torch nor its data, and the refusal without them."""

import numpy as np
import pytest

from pock.demo import recipe, run
from pock.demo.digits import digits
from pock.demo.fruit import Split
from pock.demo.show import smoothed
from pock.demo.training import shortened
from pock_ir.diagnostics import PockError
from pock_ir.passes.scheme_rules import Rule


def test_a_run_becomes_one_rule_for_each_pattern():
    rules = recipe.scheme_of(recipe.SPARSE).rules
    assert rules[0] == Rule("_blocks.[89]._bn?.bias")
    assert Rule("_blocks.1[2-5]._expand_conv.weight", ratio=0.5) in rules
    assert [rule.parameters for rule in rules] == [u.pattern for u in recipe.SPARSE.updates]


def test_missing_packages_are_named_at_once_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(PockError) as caught:
        run.run_fruit(tmp_path)
    assert len(caught.value.diagnostics) == len(run.NEEDS)
    assert "pip install 'pock[demo]'" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_check_packages", lambda: None)
    (tmp_path / "file").write_text("")
    with pytest.raises(PockError, match="cannot create"):
        run.run_fruit(tmp_path / "file" / "folder")


def test_a_short_recipe_has_one_epoch_over_rows_of_the_whole_split():
    split = Split(np.zeros((100, 2, 2, 3), np.uint8), np.arange(100))
    short, rows = shortened(recipe.RECIPE, split, 5)
    assert short.epochs == 1
    assert rows.labels.tolist() == [0, 24, 49, 74, 99]


def test_smoothing_averages_only_what_has_been():
    assert smoothed([4.0, 2.0, 0.0]) == [4.0, 3.0, 2.0]
    assert smoothed([1.0] * 40) == [1.0] * 40


def test_digits_repeat_and_have_all_classes():
    images, labels = digits(200, seed=3)
    assert images.shape == (200, 64) and images.dtype == np.float32
    assert labels.dtype == np.int64 and set(labels) == set(range(10))
    again, _ = digits(200, seed=3)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, digits(200, seed=4)[0])
