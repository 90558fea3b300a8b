"""Every handler against JAX, forward and backward, in the reference interpreter."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax_harnesses import PASSED, compare_with_jax
from primitive_cases import CASES

from pock.frontends.jax.importer import import_jax
from pock.frontends.jax.model import Model
from pock.frontends.jax.table import handlers
from pock_ir.dialects import make_context
from pock_ir.parse import parse_module, print_module


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    function, arguments = CASES[name]
    outcome = compare_with_jax(function, list(arguments))
    assert outcome.status == PASSED, outcome.reason


def test_the_text_parses_back() -> None:
    model = Model(lambda p, x: jax.nn.gelu(x @ p["a/b"]), {"a/b": jnp.ones((4, 2))})
    module = import_jax(model, (jnp.ones((3, 4)),), jnp.zeros((3, 2)), "mse").module
    text = print_module(module, locations=True)
    assert print_module(parse_module(make_context(), text), locations=True) == text


def test_handlers_have_a_summary() -> None:
    assert not [name for name, handler in handlers().items() if not handler.__doc__]
