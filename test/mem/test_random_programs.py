"""Random functions compute the same at every level, and every checker accepts them."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import (
    CONTEXT,
    TO_KERN,
    TO_MEMORY,
    apply,
    assert_same,
    inputs_of,
    random_module,
    run_memory,
    run_values,
)

from pock_ir.parse import parse_module, print_module


def check(random: Random, ops: int) -> None:
    source = random_module(random, ops)
    arrays = inputs_of(source)
    wanted = run_values(source, arrays)
    module = source.clone()
    for action in TO_KERN:
        apply(module, (action,))
        assert_same(run_values(module, arrays), wanted)
    apply(module, TO_MEMORY[len(TO_KERN) :])
    assert_same(run_memory(module, source, arrays), wanted)
    again = parse_module(CONTEXT, print_module(module))
    assert print_module(again) == print_module(module)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False), ops=st.integers(1, 20))
def test_small_functions_keep_their_results(random: Random, ops: int) -> None:
    check(random, ops)


@pytest.mark.parametrize("seed", range(3))
def test_larger_functions_keep_their_results(seed: int) -> None:
    check(Random(seed), 120)
