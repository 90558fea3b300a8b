import pytest

from pock.demo import recipe


def test_rate_warms_up_to_the_peak_and_falls_towards_zero():
    steps = recipe.steps_in(recipe.RECIPE, 675)
    rates = [
        recipe.learning_rate(recipe.RECIPE, recipe.SPARSE, step, steps) for step in range(steps)
    ]
    peak = rates.index(max(rates))
    assert peak == recipe.RECIPE.warmup - 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0.99 * recipe.SPARSE.peak_rate < rates[peak] <= recipe.SPARSE.peak_rate
    assert 0.0 < rates[-1] < 1e-4 * recipe.SPARSE.peak_rate


def test_a_pattern_that_matches_nothing_is_refused():
    run = recipe.Run("typo", (recipe.Update("_cf.weight"),), 1e-3)
    with pytest.raises(ValueError, match=r"typo: no parameter matches '_cf\.weight'"):
        recipe.trained_ratios(run, ["_fc.weight", "_fc.bias"])


def test_schemes_name_what_they_mean():
    pytest.importorskip("torch")
    from pock.zoo.efficientnet_lite import efficientnet_lite0

    names = [name for name, _ in efficientnet_lite0(14).named_parameters()]
    head = recipe.trained_ratios(recipe.HEAD_ONLY, names)
    sparse = recipe.trained_ratios(recipe.SPARSE, names)
    assert head == {"_fc.weight": 1.0, "_fc.bias": 1.0}
    biases = {f"_blocks.{i}._bn{j}.bias" for i in range(8, 16) for j in range(3)}
    halves = {f"_blocks.{i}._expand_conv.weight" for i in range(12, 16)}
    assert set(sparse) == biases | halves | {"_bn1.bias"} | set(head)
    assert {name for name, ratio in sparse.items() if ratio == 0.5} == halves
