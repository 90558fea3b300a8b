"""Convolutions as matrix products, all directions, against the ops' own meaning."""

import pytest
from hot_cases import (
    CLANG,
    CONV,
    POINTWISE,
    TARGETS,
    check,
    conv_epilogue_cases,
    needs_clang,
    same_bits,
    some,
)

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


def test_sanitizers_find_nothing() -> None:
    """Borders on all sides, strides, groups, blocks that cut a row of taps."""
    cases = some(CASES, "first", "groups", "deep", "wide_pad")
    cases += some(conv_epilogue_cases(), "down_conv2d_gemm_gate", "down_conv2d_gemm_dx")
    check(cases, "x86-64-v4:threads=2", sanitized=True)


@needs_clang
def test_clang_agrees() -> None:
    """The same source, warnings and all, with the other compiler."""
    check(some(CASES, "project", "first", "groups"), "x86-64-v4", compiler=CLANG)


def test_channels_first_is_refused() -> None:
    from harness import call_of, f32

    from pock_ir.dialects.conv import Conv2dOp
    from pock_ir.target import target_named

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
