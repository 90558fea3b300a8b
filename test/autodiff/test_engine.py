"""The engine: sums over consumers, need, slices, refusals, and frozen means frozen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_graphs import (
    CONTEXT,
    Graph,
    gradients,
    ops_of,
    random_inputs,
    run_named,
    train,
    train_all,
)
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr, UnitAttr
from xdsl.ir import SSAValue

from pock_ir.diagnostics import PockError
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    CompareOp,
    MulOp,
    NegOp,
    ReluOp,
    SelectOp,
    SigmoidOp,
    SubOp,
    TanhOp,
)
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.dialects.norm import BatchNormOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import TransposeOp
from pock_ir.dialects.softmax import LogSoftmaxGradOp, SoftmaxGradOp, SoftmaxOp
from pock_ir.interpret import find_function
from pock_ir.parse import parse_module, print_module
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.autodiff.engine import Request, build_gradients
from pock_ir.passes.signature import argument_attributes, set_argument_attributes
from pock_ir.passes.trained import TrainedSlice
from pock_ir.types import Array


def loss_of(module: ModuleOp, inputs: dict[str, Array]) -> float:
    return float(run_named(module, inputs, "train")["loss", ""])


def check_against_differences(module: ModuleOp, seed: int = 0) -> None:
    """Every gradient of an f64 module against central differences along a random direction."""
    inputs = {k: v.astype(np.float64) for k, v in random_inputs(module, seed).items()}
    random = np.random.default_rng(seed + 1)
    for name, gradient in gradients(train_all(module), inputs).items():
        direction = random.standard_normal(gradient.shape)
        step = 1e-6
        sides = [
            loss_of(module, {**inputs, name: inputs[name] + sign * step * direction})
            for sign in (1, -1)
        ]
        slope = (sides[0] - sides[1]) / (2 * step)
        assert np.vdot(gradient, direction) == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_residual_connections_add_both_paths() -> None:
    g = Graph()
    x, w, v = (g.parameter(n, 3, 3, dtype="f64") for n in "xwv")
    for weight in (w, v, w):
        inner = g(TanhOp, g(LinearOp, x, weight, weight_layout="oi"))
        x = g(AddOp, x, inner)
    check_against_differences(g.module(g.total(x)))


def test_value_with_many_consumers() -> None:
    g = Graph()
    x = g.parameter("x", 4, dtype="f64")
    y = g(TanhOp, x)
    total = g(SigmoidOp, y)
    for op in (NegOp, TanhOp, SigmoidOp, ReluOp):
        total = g(MulOp, g(AddOp, total, g(op, y)), y)
    check_against_differences(g.module(g.total(total)))


def test_tied_weight_is_summed_over_its_uses() -> None:
    g = Graph()
    x, w = g.input("x", 5, 3, dtype="f64"), g.parameter("w", 3, 3, dtype="f64")
    y = g(LinearOp, x, w, weight_layout="oi")
    z = g(LinearOp, g(TanhOp, y), w, weight_layout="io")
    check_against_differences(g.module(g.total(z)))


@pytest.mark.parametrize("op", [AddOp, SubOp, MulOp])
def test_one_value_as_both_operands(op) -> None:
    g = Graph()
    x = g.parameter("x", 4, dtype="f64")
    check_against_differences(g.module(g.total(g(op, x, g(op, x, x)))))


def test_matrix_times_itself() -> None:
    g = Graph()
    x = g.parameter("x", 3, 3, dtype="f64")
    y = g(MatMulOp, x, x, transpose_lhs=True, transpose_rhs=False)
    check_against_differences(g.module(g.total(y)))


def test_unused_results_and_dead_ops_cost_nothing() -> None:
    g = Graph()
    x, w = g.input("x", 4, 2), g.parameter("w", 2)
    beta = g.parameter("b", 2)
    norm = g.emit.op(BatchNormOp, x, w, beta, axis=1, eps=1e-5)
    g(TanhOp, norm.results[1])
    module = g.module(g(SumOp, norm.results[0], axes=[0, 1]), (norm.results[1], "mean"))
    forward = ops_of(module, "train")[:-1]
    names = ops_of(train(module, {"b": None}))
    assert names[: len(forward)] == forward
    backward = ["nn.constant", "nn.broadcast", "nn.cast", "nn.sum", "nn.cast", "func.return"]
    assert names[len(forward) :] == backward


def two_layers() -> ModuleOp:
    """x -> linear w1, relu, linear w2 with bias b2 -> loss."""
    g = Graph()
    x, w1, w2, b2 = g.input("x", 4, 3), *(g.parameter(n, 3, 3) for n in ("w1", "w2")), None
    b2 = g.parameter("b2", 3)
    hidden = g(ReluOp, g(LinearOp, x, w1, weight_layout="oi"))
    y = g.biased(g(LinearOp, hidden, w2, weight_layout="oi"), b2)
    return g.module(g(SumOp, y, axes=[0, 1]))


@pytest.mark.parametrize(
    ("trained", "backward"),
    [
        ("b2", ["nn.constant", "nn.broadcast", "nn.sum"]),
        ("w2", ["nn.constant", "nn.broadcast", "train.linear_grad_weight"]),
        (
            "w1",
            [
                "nn.constant",
                "nn.broadcast",
                "nn.linear",
                "nn.constant",
                "nn.compare",
                "nn.constant",
                "nn.select",
                "train.linear_grad_weight",
            ],
        ),
    ],
)
def test_frozen_parameters_build_no_ops(trained: str, backward: list[str]) -> None:
    module = two_layers()
    forward = ops_of(module, "train")[:-1]
    assert ops_of(train(module, {trained: None})) == [*forward, *backward, "func.return"]


def test_parameter_that_does_not_reach_the_loss_has_no_gradient() -> None:
    g = Graph()
    x, w = g.parameter("x", 3), g.parameter("w", 3)
    g(TanhOp, w)
    assert set(gradients_of(g.module(g.total(x)))) == {"x"}


def test_integers_and_conditions_stop_gradients() -> None:
    g = Graph()
    x, w = g.parameter("x", 3), g.parameter("w", 3)
    rounded = g(CastOp, g(CastOp, w, to="i32"), to="f32")
    y = g(SelectOp, g(CompareOp, w, x, predicate="lt"), x, rounded)
    trained = train_all(g.module(g.total(y)))
    assert set(gradients(trained, random_inputs(trained, name="train_step"))) == {"x"}


def gradients_of(module: ModuleOp) -> dict[str, Array]:
    return gradients(train_all(module), random_inputs(module))


def test_loss_that_is_a_parameter() -> None:
    g = Graph()
    assert gradients_of(g.module(g.parameter("x"))) == {"x": 1.0}


def test_gradient_ops_are_located_where_the_forward_op_is() -> None:
    module = train_all(two_layers())
    ops = list(find_function(module, "train_step").body.block.ops)
    assert all(op.location == ops[0].location for op in ops)


# Slices.


def sliced(module: ModuleOp, name: str, axis: int, begin: int, size: int, exact: bool = True):
    """The module that trains this slice of parameter `name`, checked against the whole one."""
    part = TrainedSlice(axis, begin, size)
    inputs = {k: np.round(v * 4) for k, v in random_inputs(module).items()}
    trained = train(module, {name: part})
    (whole,) = gradients(train(module, {name: None}), inputs).values()
    (some,) = gradients(trained, inputs).values()
    np.testing.assert_array_equal(some, whole.take(range(begin, begin + size), axis))
    return trained


def largest_gradient(module: ModuleOp, op_name: str) -> int:
    """The number of elements of the largest result of the ops called `op_name`."""
    block = find_function(module, "train_step").body.block
    return max(np.prod(op.results[0].type.get_shape()) for op in block.ops if op.name == op_name)


@pytest.mark.parametrize("layout", ["oi", "io"])
@pytest.mark.parametrize("axis", [0, 1])
def test_slice_of_a_linear_weight(layout: str, axis: int) -> None:
    g = Graph()
    x, w = g.input("x", 2, 5, 4), g.parameter("w", *((6, 4) if layout == "oi" else (4, 6)))
    module = g.module(g.total(g(LinearOp, x, w, weight_layout=layout)))
    trained = sliced(module, "w", axis, 1, 2)
    whole = dict(zip(layout, (6, 4) if layout == "oi" else (4, 6), strict=True))
    assert largest_gradient(trained, "train.linear_grad_weight") == 2 * whole[layout[1 - axis]]


CONVOLUTIONS = {
    "input channels, nchw": ("nchw", "oihw", 1, "i", 1, 2, True),
    "input channels, nhwc": ("nhwc", "hwio", 1, "i", 0, 3, True),
    "output channels, nchw": ("nchw", "oihw", 1, "o", 2, 3, True),
    "output channels, nhwc": ("nhwc", "hwio", 1, "o", 0, 2, True),
    "whole groups of outputs": ("nhwc", "hwio", 2, "o", 4, 4, True),
    "part of a group of outputs": ("nchw", "oihw", 2, "o", 1, 2, False),
    "inputs of groups": ("nchw", "oihw", 2, "i", 0, 1, False),
    "depthwise": ("nhwc", "hwio", 4, "o", 2, 4, True),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_slice_of_a_convolution_weight(case: str) -> None:
    layout, weight_layout, groups, letter, begin, size, is_direct = CONVOLUTIONS[case]
    sizes = {"n": 2, "c": 4, "h": 5, "w": 5}
    weights = {"o": 8, "i": 4 // groups, "h": 3, "w": 3}
    g = Graph()
    x = g.input("x", *(sizes[c] for c in layout))
    w = g.parameter("w", *(weights[c] for c in weight_layout))
    window = {"strides": (2, 1), "dilation": (1, 1), "pad_low": (1, 0), "pad_high": (1, 1)}
    layouts = {"groups": groups, "layout": layout, "weight_layout": weight_layout}
    module = g.module(g.total(g(Conv2dOp, x, w, **window, **layouts)))
    trained = sliced(module, "w", weight_layout.index(letter), begin, size)
    whole = int(np.prod(list(weights.values())))
    wanted = whole * size // weights[letter] if is_direct else whole
    assert largest_gradient(trained, "train.conv2d_grad_weight") == wanted


@pytest.mark.parametrize("axis", [0, 1])
def test_slice_of_a_table(axis: int) -> None:
    g = Graph()
    table, ids = g.parameter("table", 6, 4), g.input("ids", 3, 2, dtype="i32")
    module = g.module(g.total(g(EmbeddingOp, table, ids, padding_index=-1)))
    inputs = random_inputs(module)
    inputs["ids"] = np.array([[0, 5], [1, 1], [5, 3]], np.int32)
    whole = gradients(train_all(module), inputs)["table"]
    part = gradients(train(module, {"table": TrainedSlice(axis, 1, 3)}), inputs)["table"]
    np.testing.assert_array_equal(part, whole.take(range(1, 4), axis))


def test_slice_of_a_parameter_with_other_readers() -> None:
    g = Graph()
    x, w = g.input("x", 4, 3), g.parameter("w", 3, 3)
    y = g(LinearOp, x, w, weight_layout="oi")
    y = g(MatMulOp, y, g(TransposeOp, w, permutation=(1, 0)), **NOT_TRANSPOSED)
    y = g(MatMulOp, y, w, **NOT_TRANSPOSED)
    sliced(g.module(g.total(y)), "w", 1, 0, 2)


NOT_TRANSPOSED = {"transpose_lhs": False, "transpose_rhs": False}


def test_slice_that_is_everything_is_the_whole() -> None:
    module = two_layers()
    assert ops_of(train(module, {"w2": TrainedSlice(1, 0, 3)})) == ops_of(
        train(module, {"w2": None})
    )


# Refusals.


def refusal(module: ModuleOp) -> str:
    with pytest.raises(PockError) as error:
        AutodiffPass().apply(CONTEXT, module)
    return str(error.value)


def marked(module: ModuleOp, **marks) -> ModuleOp:
    function = find_function(module, "train")
    entries = argument_attributes(function)
    set_argument_attributes(
        function, [{**e, **({"pock.train": m} if m else {})} for e, m in with_marks(entries, marks)]
    )
    return module


def with_marks(entries, marks):
    return [(entry, marks.get(entry["pock.name"].data)) for entry in entries]


def test_no_marked_parameter() -> None:
    message = refusal(two_layers())
    assert message == "error: @train trains no parameter: apply a scheme first"


def test_marks_that_do_not_fit() -> None:
    outside = TrainedSlice(1, 2, 2).attribute()
    odd = DictionaryAttr({"axis": StringAttr("0")})
    g = Graph()
    x, w, b = g.input("x", 3), g.parameter("w", 3, 3), g.parameter("b", 3)
    ids = g.parameter("ids", 3, dtype="i32")
    g(NegOp, w), g(NegOp, b), g(NegOp, ids)
    module = g.module(g.total(x))
    message = refusal(marked(module, x=UnitAttr(), w=outside, b=odd, ids=UnitAttr()))
    assert message.split("\n") == [
        "error: parameter 'x' cannot be trained: it is of kind 'input'",
        "error: parameter 'w' cannot be trained: [2, 4) is not within the 3 elements of axis 1",
        "error: parameter 'b' cannot be trained: it should be a unit attribute or"
        " {axis, begin, size}",
        "error: parameter 'ids' cannot be trained: its type tensor<3xi32> has no gradient",
    ]


def test_loss_that_is_no_scalar() -> None:
    g = Graph()
    x = g.parameter("x", 3)
    message = refusal(marked(g.module(g(TanhOp, x)), x=UnitAttr()))
    assert message == "error: the loss should be one float, not tensor<3xf32>"


def test_every_op_without_a_gradient_is_named() -> None:
    g = Graph()
    x = g.parameter("x", 3)
    y = g(SoftmaxGradOp, g(LogSoftmaxGradOp, x, x, axis=0), x, axis=0)
    message = refusal(marked(g.module(g.total(y)), x=UnitAttr()))
    reason = "has no gradient: second-order gradients are not supported"
    assert message.split("\n") == [
        f"error: train.log_softmax_grad {reason}",
        f"error: train.softmax_grad {reason}",
    ]


def test_statistics_have_no_gradient() -> None:
    g = Graph()
    x, gamma, beta = g.parameter("x", 2, 3), g.input("g", 3), g.input("b", 3)
    norm = g.emit.op(LayerNormOp, x, gamma, beta, axis=1, eps=1e-5)
    message = refusal(marked(g.module(g.total(norm.results[1])), x=UnitAttr()))
    assert message == ("error: nn.layer_norm: the loss depends on result 1, which has no gradient")


def test_rule_that_breaks_its_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    from pock_ir.passes.autodiff.facet import VJP

    g = Graph()
    x, w = g.input("x", 3), g.parameter("w", 3)
    y = g(AddOp, x, g(TanhOp, w))
    loss = g(SumOp, y, axes=[0])
    g.module(loss)
    monkeypatch.setitem(VJP._rules, AddOp, lambda op, dy, needed, emit: [dy[0], dy[0]])
    with pytest.raises(ValueError, match=r"nn\.add: built gradient 0, which nothing needs"):
        build_gradients(g.block, loss, [Request(w)])
    monkeypatch.setitem(VJP._rules, TanhOp, lambda op, dy, needed, emit: [loss])
    monkeypatch.setitem(VJP._rules, AddOp, lambda op, dy, needed, emit: [None, dy[0]])
    with pytest.raises(TypeError, match=r"a gradient of type tensor<f32> for a value of type"):
        build_gradients(g.block, loss, [Request(w)])


# Frozen means frozen, on random graphs.


@st.composite
def random_graphs(draw) -> str:
    """The text of a few layers over f32[4, 3] values; any value may be read by any later op.

    As text, because hypothesis prints what it draws.
    """
    g = Graph()
    values = [g.input("x", 4, 3)]
    names = iter(f"p{i}" for i in range(100))
    weights: list[SSAValue] = []

    def value() -> SSAValue:
        return draw(st.sampled_from(values))

    def weight() -> SSAValue:
        if not weights or draw(st.booleans()):
            weights.append(g.parameter(next(names), 3, 3))
        return draw(st.sampled_from(weights))

    def vector() -> SSAValue:
        return g.parameter(next(names), 3)

    def batch_norm() -> SSAValue:
        return g.emit.op(BatchNormOp, value(), vector(), vector(), axis=1, eps=1e-3).results[0]

    def layer_norm() -> SSAValue:
        return g.emit.op(LayerNormOp, value(), vector(), vector(), axis=1, eps=1e-3).results[0]

    layers = {
        "add": lambda: g(AddOp, value(), value()),
        "batch_norm": batch_norm,
        "bias": lambda: g.biased(value(), vector()),
        "layer_norm": layer_norm,
        "linear": lambda: g(LinearOp, value(), weight(), weight_layout="oi"),
        "mul": lambda: g(MulOp, value(), value()),
        "relu": lambda: g(ReluOp, value()),
        "softmax": lambda: g(SoftmaxOp, value(), axis=1),
        "tanh": lambda: g(TanhOp, value()),
    }
    for layer in draw(st.lists(st.sampled_from(sorted(layers)), min_size=1, max_size=8)):
        values.append(layers[layer]())
    values.append(g(LinearOp, values[-1], weight(), weight_layout="oi"))
    return print_module(g.module(g.total(values[-1])))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_graphs(), st.data())
def test_kept_gradients_equal_those_of_the_full_program(text: str, data) -> None:
    module = parse_module(CONTEXT, text)
    entries = argument_attributes(find_function(module, "train"))
    names = [e["pock.name"].data for e in entries if e["pock.kind"].data == "parameter"]
    chosen = data.draw(st.sets(st.sampled_from(names), min_size=1))
    full, scheme = train_all(module), train(module, dict.fromkeys(sorted(chosen)))
    inputs = random_inputs(module, seed=3)
    everything, kept = run_named(full, inputs), run_named(scheme, inputs)
    for key, array in kept.items():
        assert array.tobytes() == everything[key].tobytes(), key
    assert {n for kind, n in kept if kind == "gradient"} <= chosen
    assert len(ops_of(scheme)) <= len(ops_of(full))
