"""What is legal at each level, and that everything illegal is reported at once."""

import pytest

from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.dialects.levels import LEVELS, check_named_level, check_own_level, level_named
from pock_ir.parse import parse_module


def parse(level, body):
    text = f'module attributes {{pock.level = "{level}"}} {{\n{body}\n}}'
    return parse_module(make_context(), text, "net.mlir")


RELU = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = nn.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return %y : tensor<4xf32>
}"""
GRADIENT = """func.func @main(%y: tensor<4xf32>) -> tensor<4xf32> {
  %x = train.softmax_grad %y, %y {axis = 0} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return %x : tensor<4xf32>
}"""
CALL = """func.func @main(%x: tensor<4xf32>) -> tensor<2x2xf32> {
  %y = kern.call %x {kernel = "map", updates = array<i64: -1>, reuses = array<i64: -1>}
    : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %b = nn.relu %a : (tensor<4xf32>) -> tensor<4xf32>
    kern.yield %b : tensor<4xf32>
  }
  %z = nn.reshape %y {shape = array<i64: 2, 2>} : (tensor<4xf32>) -> tensor<2x2xf32>
  func.return %z : tensor<2x2xf32>
}"""
LOOP = """func.func @main(%x: memref<4xf32>) {
  %from = arith.constant 0 : index
  %step = arith.constant 1 : index
  %to = arith.constant 4 : index
  scf.for %i = %from to %to step %step {
    %v = memref.load %x[%i] : memref<4xf32>
    %w = math.exp %v : f32
    memref.store %w, %x[%i] : memref<4xf32>
  }
  func.return
}"""


@pytest.mark.parametrize(
    "level, body",
    [("nn", RELU), ("train", RELU), ("train", GRADIENT), ("kern", CALL), ("loops", LOOP)],
)
def test_legal(level, body):
    check_own_level(parse(level, body))


ILLEGAL = (
    ("nn", GRADIENT, ["net.mlir:3:3: error: train.softmax_grad is not legal at level nn"]),
    ("kern", RELU, ["net.mlir:3:3: error: nn.relu is not legal at level kern"]),
    ("train", CALL, ["net.mlir:3:3: error: kern.call is not legal at level train"]),
    (
        "nn",
        """func.func @f(%x: tensor<0x2xf32>, %n: index) -> i32 {
  %z = arith.constant 1 : i32
  func.return %z : i32
}
func.func private @g(tensor<4xf32>)""",
        [
            "net.mlir:2:1: error: func.func: type i32 is not a tensor at level nn",
            "net.mlir:2:1: error: func.func: type tensor<0x2xf32> has no elements at level nn",
            "net.mlir:2:1: error: func.func: type index is not a tensor at level nn",
            "net.mlir:3:3: error: arith.constant is not legal at level nn",
            "net.mlir:6:1: error: func.func without exactly one block is not legal at level nn",
        ],
    ),
    (
        "train",
        """func.func @f(%a: tensor<?xf32>, %b: tensor<4xi3>) {
  func.return
}""",
        [
            "net.mlir:2:1: error: func.func: type tensor<?xf32> has a shape that is not static"
            " at level train",
            "net.mlir:2:1: error: func.func: type tensor<4xi3> has an unsupported element type"
            " at level train",
        ],
    ),
    (
        "loops",
        """func.func @f(%a: tensor<4xf32>) {
  func.return
}""",
        [
            "net.mlir:2:1: error: func.func: type tensor<4xf32> is neither a buffer, a vector,"
            " an index nor a number at level loops"
        ],
    ),
)


@pytest.mark.parametrize("level, body, wanted", ILLEGAL)
def test_everything_illegal_is_reported(level, body, wanted):
    with pytest.raises(PockError) as caught:
        check_own_level(parse(level, body))
    found = str(caught.value).splitlines()
    assert [line for line in found if line in wanted] == wanted
    # In the body of an illegal region more may be wrong; outside nothing else is.
    assert level in ("train", "kern") or found == wanted


def test_legality_depends_on_the_place():
    level, module = level_named("kern"), parse("kern", CALL)
    (call,) = (op for op in module.walk() if op.name == "kern.call")
    (view,) = (op for op in module.walk() if op.name == "nn.reshape")
    (relu,) = (op for op in module.walk() if op.name == "nn.relu")
    assert level.is_legal(call) is None
    assert level.is_legal(view) is None
    assert level.is_legal(relu) is None
    relu.detach()
    assert level.is_legal(relu) == "nn.relu is not legal"


def test_a_module_must_name_its_level():
    with pytest.raises(PockError, match=r"names no level in its attribute pock\.level"):
        check_own_level(parse_module(make_context(), RELU))


def test_the_named_level_is_checked():
    with pytest.raises(PockError, match="the module is at level 'nn', not 'train'"):
        check_named_level(parse("nn", RELU), "train")


def test_unknown_level():
    with pytest.raises(PockError) as caught:
        level_named("mnist")
    assert str(caught.value) == (
        "error: unknown level 'mnist'\n  help: known: nn, train, kern, mem, loops"
    )


def test_levels_are_described():
    assert [level.name for level in LEVELS] == ["nn", "train", "kern", "mem", "loops"]
    assert all(level.description for level in LEVELS)
