"""Canonicalisation: each rule once, and models compute the same bits before and after."""

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import NegOp
from pock_ir.interpret import run_function
from pock_ir.parse import parse_module
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.rewrite import rewrite_module
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.verify import verify_module

X = np.array([[-1.5, -0.0, 0.0], [2.0, np.inf, np.nan]], np.float32)


def parsed(body: str, result: str) -> ModuleOp:
    """A function of %x: 2x3xf32 that returns %y."""
    text = f"""
    builtin.module attributes {{pock.level = "nn"}} {{
      func.func @f(%x: tensor<2x3xf32>) -> {result} {{
        {body}
        func.return %y : {result}
      }}
    }}"""
    return parse_module(make_context(), text)


def constant(name: str, value: str, type: str = "tensor<2x3xf32>") -> str:
    kind = "i64" if "." not in value else "f64"
    return f"%{name} = nn.constant {{value = {value} : {kind}, type = {type}}} : () -> {type}\n"


def op_names(module: ModuleOp) -> list[str]:
    (function,) = module.ops
    return [op.name.removeprefix("nn.") for op in function.body.block.ops][:-1]


F = "tensor<2x3xf32>"
F32 = "tensor<2x3xf32>, tensor<2x3xf32>"
RULES = {
    "x*1": (constant("c", "1.0") + f"%y = nn.mul %x, %c : ({F32}) -> {F}", F, []),
    "1*x": (constant("c", "1.0") + f"%y = nn.mul %c, %x : ({F32}) -> {F}", F, []),
    "x/1": (constant("c", "1.0") + f"%y = nn.div %x, %c : ({F32}) -> {F}", F, []),
    "x-0": (constant("c", "0.0") + f"%y = nn.sub %x, %c : ({F32}) -> {F}", F, []),
    "x+(-0)": (constant("c", "-0.0") + f"%y = nn.add %x, %c : ({F32}) -> {F}", F, []),
    "x+0 stays": (
        constant("c", "0.0") + f"%y = nn.add %x, %c : ({F32}) -> {F}",
        F,
        ["constant", "add"],
    ),
    "x-(-0) stays": (
        constant("c", "-0.0") + f"%y = nn.sub %x, %c : ({F32}) -> {F}",
        F,
        ["constant", "sub"],
    ),
    "x*0 stays": (
        constant("c", "0.0") + f"%y = nn.mul %x, %c : ({F32}) -> {F}",
        F,
        ["constant", "mul"],
    ),
    "neg neg": (f"%a = nn.neg %x : ({F}) -> {F}\n%y = nn.neg %a : ({F}) -> {F}", F, []),
    "fold": (
        constant("a", "2.0") + constant("b", "3.0")
        + f"%c = nn.mul %a, %b : ({F32}) -> {F}\n%y = nn.add %x, %c : ({F32}) -> {F}",
        F,
        ["constant", "add"],
    ),
    "select": (
        constant("c", "1", "tensor<2x3xi1>")
        + f"%n = nn.neg %x : ({F}) -> {F}\n"
        + f"%y = nn.select %c, %x, %n : (tensor<2x3xi1>, {F32}) -> {F}",
        F,
        [],
    ),
    "transposes": (
        f"%t = nn.transpose %x {{permutation = array<i64: 1, 0>}} : ({F}) -> tensor<3x2xf32>\n"
        f"%y = nn.transpose %t {{permutation = array<i64: 1, 0>}} : (tensor<3x2xf32>) -> {F}",
        F,
        [],
    ),
    "transpose of ones": (
        f"%t = nn.reshape %x {{shape = array<i64: 2, 1, 3>}} : ({F}) -> tensor<2x1x3xf32>\n"
        "%y = nn.transpose %t {permutation = array<i64: 1, 0, 2>} :"
        " (tensor<2x1x3xf32>) -> tensor<1x2x3xf32>",
        "tensor<1x2x3xf32>",
        ["reshape"],
    ),
    "transposed broadcast": (
        f"%b = nn.broadcast %x {{shape = array<i64: 2, 4, 3>, axes = array<i64: 0, 2>}} :"
        f" ({F}) -> tensor<2x4x3xf32>\n"
        "%y = nn.transpose %b {permutation = array<i64: 1, 2, 0>} :"
        " (tensor<2x4x3xf32>) -> tensor<4x3x2xf32>",
        "tensor<4x3x2xf32>",
        ["transpose", "broadcast"],
    ),
    "broadcasts": (
        f"%b = nn.broadcast %x {{shape = array<i64: 2, 4, 3>, axes = array<i64: 0, 2>}} :"
        f" ({F}) -> tensor<2x4x3xf32>\n"
        "%y = nn.broadcast %b {shape = array<i64: 5, 2, 4, 3>, axes = array<i64: 1, 2, 3>} :"
        " (tensor<2x4x3xf32>) -> tensor<5x2x4x3xf32>",
        "tensor<5x2x4x3xf32>",
        ["broadcast"],
    ),
    "sum over ones": (
        f"%r = nn.reshape %x {{shape = array<i64: 2, 1, 3>}} : ({F}) -> tensor<2x1x3xf32>\n"
        f"%y = nn.sum %r {{axes = array<i64: 1>}} : (tensor<2x1x3xf32>) -> {F}",
        F,
        [],
    ),
    "matmul of transposes": (
        f"%t = nn.transpose %x {{permutation = array<i64: 1, 0>}} : ({F}) -> tensor<3x2xf32>\n"
        "%y = nn.matmul %x, %t {transpose_lhs = false, transpose_rhs = false} :"
        f" ({F}, tensor<3x2xf32>) -> tensor<2x2xf32>",
        "tensor<2x2xf32>",
        ["matmul"],
    ),
    "linear of transpose": (
        f"%t = nn.transpose %x {{permutation = array<i64: 1, 0>}} : ({F}) -> tensor<3x2xf32>\n"
        f'%y = nn.linear %x, %t {{weight_layout = "io"}} :'
        f" ({F}, tensor<3x2xf32>) -> tensor<2x2xf32>",
        "tensor<2x2xf32>",
        ["linear"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    body, result, expected = RULES[name]
    module = parsed(body, result)
    (before,) = run_function(module, "f", [X])
    CanonicalizePass().apply(make_context(), module)
    verify_module(module)
    assert op_names(module) == expected
    (after,) = run_function(module, "f", [X])
    np.testing.assert_array_equal(after, before)
    if "sum" not in name:  # 0.0 + -0.0 is 0.0
        np.testing.assert_array_equal(np.signbit(after), np.signbit(before))


def test_equal_ops_are_merged_and_dead_ones_erased() -> None:
    body = f"""%a = nn.exp %x : ({F}) -> {F}
        %d = nn.sqrt %x : ({F}) -> {F}
        %b = nn.exp %x : ({F}) -> {F}
        %y = nn.add %a, %b : ({F32}) -> {F}"""
    module = parsed(body, F)
    SimplifyPass().apply(make_context(), module)
    assert op_names(module) == ["exp", "add"]


def test_rules_that_undo_each_other_run_out_of_fuel() -> None:
    def negate_again(op, emit):
        return emit(NegOp, op.x)

    module = parsed(f"%y = nn.neg %x : ({F}) -> {F}", F)
    with pytest.raises(PockError) as caught:
        rewrite_module(module, {NegOp: [negate_again]})
    assert "rewriting does not end: rule negate_again fired" in str(caught.value)


@pytest.mark.parametrize(
    ("low", "value", "ops"),
    [
        ("0, 0, 1, 0", "0.0", ["conv2d"]),
        ("0, 0, 1, 0", "1.0", ["pad", "conv2d"]),  # what is added is not zero
        ("1, 0, 0, 0", "0.0", ["pad", "conv2d"]),  # not in space
    ],
)
def test_zero_padding_becomes_that_of_the_convolution(low: str, value: str, ops: list[str]) -> None:
    batch, height = (3, 5) if low.startswith("1") else (2, 6)
    x, w, y = "tensor<2x3x5x4xf32>", "tensor<4x3x3x3xf32>", f"tensor<{batch}x4x{height - 1}x3xf32>"
    padded = f"tensor<{batch}x3x{height}x5xf32>"
    text = f"""
      func.func @f(%x: {x}, %w: {w}) -> {y} {{
        %p = nn.pad %x {{low = array<i64: {low}>, high = array<i64: 0, 0, 0, 1>,
          value = {value} : f64}} : ({x}) -> {padded}
        %y = nn.conv2d %p, %w {{strides = array<i64: 1, 1>, dilation = array<i64: 1, 1>,
          pad_low = array<i64: 1, 0>, pad_high = array<i64: 0, 0>, groups = 1 : i64,
          layout = "nchw", weight_layout = "oihw"}} : ({padded}, {w}) -> {y}
        func.return %y : {y}
      }}
    """
    module = parse_module(make_context(), text)
    before = module.clone()
    CanonicalizePass().apply(make_context(), module)
    verify_module(module)
    assert op_names(module) == ops
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((2, 3, 5, 4), (4, 3, 3, 3))]
    (wanted,) = run_function(before, "f", arrays)
    (found,) = run_function(module, "f", arrays)
    assert np.allclose(found, wanted, rtol=1e-6, atol=1e-6)
