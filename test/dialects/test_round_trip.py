"""Every sample prints, parses back to the same module and prints the same again."""

import pytest
from samples import all_samples

from pock_ir.dialects import make_context
from pock_ir.dialects.levels import check_own_level
from pock_ir.parse import parse_module, print_module


@pytest.mark.parametrize("generic", [False, True], ids=["pretty", "generic"])
@pytest.mark.parametrize("sample", all_samples(), ids=str)
def test_round_trip(sample, generic):
    module = sample.module()
    text = print_module(module, generic=generic)
    again = parse_module(make_context(), text)
    assert again.is_structurally_equivalent(module)
    assert print_module(again, generic=generic) == text
    check_own_level(again)


def test_pretty_text_is_uniform():
    text = print_module(next(s for s in all_samples() if str(s) == "nn.softmax-rows").module())
    assert "= nn.softmax %" in text
    assert "{axis = 1 : i64} : (tensor<3x17xf32>) -> tensor<3x17xf32>" in text


def test_text_without_operands_is_uniform():
    text = print_module(next(s for s in all_samples() if str(s) == "nn.constant-i64").module())
    assert "= nn.constant {value = -7 : i64, type = tensor<4xi64>} : () -> tensor<4xi64>" in text
