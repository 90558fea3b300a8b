"""Convolutions as matrix products, all directions, against the ops' own meaning."""

import pytest
from hot_cases import CONV, POINTWISE, TARGETS, check, conv_epilogue_cases, same_bits

POINTWISE_CASES = [case for conv in POINTWISE for case in conv.cases("conv2d_pointwise")]
CASES = [*POINTWISE_CASES, *(case for conv in CONV for case in conv.cases("conv2d_gemm"))]


@pytest.mark.parametrize("target", TARGETS)
def test_shapes(target: str) -> None:
    check(CASES, target)


@pytest.mark.parametrize("target", TARGETS)
def test_epilogues(target: str) -> None:
    check(conv_epilogue_cases(), target)


def test_parts_run_in_any_order() -> None:
    cases, target = [*CASES, *conv_epilogue_cases()], "x86-64-v4:threads=2"
    assert same_bits(check(cases, target), check(cases, target, backwards=True))


@pytest.mark.parametrize("target", ("c", "x86-64-v4:threads=2"))
def test_sanitizers_find_nothing(target: str) -> None:
    check([*CASES, *conv_epilogue_cases()], target, sanitized=True)


def test_channels_first_is_refused() -> None:
    from pock_ir.dialects.conv import Conv2dOp
    from pock_ir.target import target_named

    from harness import call_of, f32

    properties = {
        "strides": [1, 1],
        "dilation": [1, 1],
        "pad_low": [0, 0],
        "pad_high": [0, 0],
        "groups": 1,
        "layout": "nchw",
        "weight_layout": "oihw",
    }
    call = call_of(Conv2dOp, [f32(1, 3, 8, 8), f32(4, 3, 1, 1)], properties)
    target = target_named("x86-64-v4")
    for name in ("conv2d_gemm", "conv2d_pointwise", "depthwise"):
        assert not target.kernel(name).matches(call, target)
