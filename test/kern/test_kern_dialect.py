"""kern.call: text form, verifier, reference semantics, keys and merging."""

import re

import numpy as np
import pytest
from programs import CONTEXT

from pock_ir.diagnostics import PockError
from pock_ir.dialects.kern import (
    CallOp,
    body_ops,
    describe,
    meaning_key,
    structural_key,
    updates_of,
)
from pock_ir.interpret import find_function, run_function
from pock_ir.op import attribute
from pock_ir.parse import parse_module, print_module
from pock_ir.passes.merge_calls import merge

ADD_ROW = """
builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
  func.func @f(%x: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
    %y = kern.call %x, %b {kernel = "", updates = array<i64: UPDATE>, reuses = array<i64: REUSE>}
        : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32> {
    ^bb0(%p: tensor<2x3xf32>, %q: tensor<3xf32>):
      %r = nn.broadcast %q {shape = array<i64: 2, 3>, axes = array<i64: 1>}
          : (tensor<3xf32>) -> tensor<2x3xf32>
      %s = nn.add %p, %r : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
      kern.yield %s : tensor<2x3xf32>
    }
    func.return %y : tensor<2x3xf32>
  }
}
"""


def text(update: str = "-1", reuse: str = "-1") -> str:
    return ADD_ROW.replace("UPDATE", update).replace("REUSE", reuse)


def only_call(source: str) -> CallOp:
    module = parse_module(CONTEXT, source)
    return next(op for op in find_function(module, "f").body.block.ops if isinstance(op, CallOp))


def test_round_trip_and_meaning() -> None:
    module = parse_module(CONTEXT, text("0"))
    again = parse_module(CONTEXT, print_module(module))
    assert print_module(again) == print_module(module)
    x, b = np.ones((2, 3), np.float32), np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(run_function(module, "f", [x, b])[0], x + b)
    call = only_call(text("0"))
    assert call.flops() == 6
    assert describe(call) == "nn.broadcast + nn.add"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (text("1"), "updates: result 0 has 24 bytes, operand 1 has 12"),
        (text("2"), "updates has no operand 2"),
        (text("-1, -1"), "updates should have 1 entries, not 2"),
        (text("-1", "1"), "reuses: result 0 has 24 bytes, operand 1 has 12"),
        (
            text().replace("kern.yield %s : tensor<2x3xf32>", "kern.yield %q : tensor<3xf32>"),
            r"result types should be \(tensor<3xf32>\)",
        ),
        (
            re.sub(
                r"%q: tensor.*%s = [^\n]*", "%q: tensor<4xf32>):", text(), flags=re.DOTALL
            ).replace("kern.yield %s", "kern.yield %p"),
            "arguments should have the operands' types",
        ),
        (text().replace("kern.yield %s : tensor<2x3xf32>", ""), "kern.yield"),
    ],
    ids=["bytes", "index", "count", "reuse", "result-type", "argument-type", "no-yield"],
)
def test_refusals(source: str, message: str) -> None:
    with pytest.raises(PockError, match=message):
        parse_module(CONTEXT, source)


def test_two_results_may_not_update_one_operand() -> None:
    source = text().replace("updates = array<i64: -1>", "updates = array<i64: 0, 0>")
    source = source.replace("reuses = array<i64: -1>", "reuses = array<i64: -1, -1>")
    source = source.replace("%y = kern.call", "%y, %z = kern.call")
    pair = "tensor<2x3xf32>, tensor<2x3xf32>"
    source = source.replace("-> tensor<2x3xf32> {\n    ^bb0", f"-> ({pair}) {{\n    ^bb0")
    source = source.replace("kern.yield %s : tensor<2x3xf32>", f"kern.yield %s, %s : {pair}")
    with pytest.raises(PockError, match="updates names an operand twice"):
        parse_module(CONTEXT, source)


def test_keys_ignore_names_and_places_but_not_meaning() -> None:
    call = only_call(text())
    renamed = only_call(text().replace("%s", "%other").replace("%q", "%row"))
    assert structural_key(call) == structural_key(renamed)
    assert meaning_key(call) != meaning_key(only_call(text("0")))
    assert meaning_key(call) != meaning_key(only_call(text().replace("nn.add", "nn.sub")))
    chosen = call.clone()
    chosen.properties["kernel"] = attribute("map")
    assert meaning_key(chosen) == meaning_key(call)
    assert structural_key(chosen) != structural_key(call)


TWO = """
builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
  func.func @f(%x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %y = kern.call %x {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>}
        : (tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%p: tensor<4xf32>):
      %c = nn.constant {value = 2.0 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
      %q = nn.mul %p, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      kern.yield %q : tensor<4xf32>
    }
    %z = kern.call %w, %y, %x {kernel = "", updates = array<i64: 0>, reuses = array<i64: -1>}
        : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%p: tensor<4xf32>, %q: tensor<4xf32>, %r: tensor<4xf32>):
      %c = nn.constant {value = 2.0 : f64, type = tensor<4xf32>} : () -> tensor<4xf32>
      %s = nn.mul %r, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %t = nn.sub %q, %s : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %u = nn.add %p, %t : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      kern.yield %u : tensor<4xf32>
    }
    func.return %y, %z : tensor<4xf32>, tensor<4xf32>
  }
}
"""


@pytest.mark.parametrize("keep", [[], [0]])
def test_merge_computes_equal_things_once_and_remaps_updates(keep: list[int]) -> None:
    module = parse_module(CONTEXT, TWO)
    first, second = (
        op for op in find_function(module, "f").body.block.ops if isinstance(op, CallOp)
    )
    merged = merge(first, second, keep)
    merged.verify()
    assert [op.name for op in body_ops(merged)] == ["nn.constant", "nn.mul", "nn.sub", "nn.add"]
    x, w = find_function(module, "f").args
    assert list(merged.operands) == [x, w]
    assert updates_of(merged) == (*(-1 for _ in keep), 1)
    inputs = [np.arange(4, dtype=np.float32), np.ones(4, np.float32)]
    wanted = run_function(module, "f", inputs)
    for found, expected in zip(merged.evaluate(*inputs), wanted[1 - len(keep) :], strict=True):
        np.testing.assert_array_equal(found, expected)
