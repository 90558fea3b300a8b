"""Optimizers against torch over several steps, and the refusals."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_graphs import CONTEXT, Graph, random_inputs, run_named, train, train_all
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import PassPipeline

from pock.frontends.torch.optimizer import from_torch
from pock_ir.diagnostics import PockError
from pock_ir.dialects.elementwise import MulOp, SubOp, TanhOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.optimizer import AdamOp
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.interpret import find_function
from pock_ir.passes.optimizer import RULES, SGD, Adam, AdamW, Lion, Optimizer, OptimizerPass
from pock_ir.passes.signature import (
    argument_attributes,
    kind_of,
    name_of,
    result_attributes,
)
from pock_ir.passes.trained import TrainedSlice
from pock_ir.types import Array, shape_of

STEPS = 4


def network() -> ModuleOp:
    """tanh(x w^T) v^T against targets t; an extra parameter that the loss does not read."""
    g = Graph()
    x, t = g.input("x", 5, 3), g.input("t", 5, 2)
    w, v, _ = g.parameter("w", 4, 3), g.parameter("v", 2, 4), g.parameter("spare", 3)
    hidden = g(TanhOp, g(LinearOp, x, w, weight_layout="oi"))
    difference = g(SubOp, g(LinearOp, hidden, v, weight_layout="oi"), t)
    return g.module(g.total(difference))


NETWORK = network()


def with_optimizer(optimizer: Optimizer, trained: ModuleOp, gradients: bool = False) -> ModuleOp:
    module = trained.clone()
    optimizer.to_pass(gradients).apply(CONTEXT, module)
    module.verify()
    return module


def initial(module: ModuleOp, lr: float) -> dict[str, Array]:
    """The arguments before the first step: random parameters and inputs, zero state."""
    values = random_inputs(NETWORK, seed=2)
    function = find_function(module, "train_step")
    for value, entry in zip(function.args, argument_attributes(function), strict=True):
        if kind_of(entry) == "state":
            values[name_of(entry)] = np.zeros(shape_of(value), np.float32)
    return {**values, "rate": np.array(lr, np.float32), "step": np.array(0, np.int32)}


def steps(module: ModuleOp, lr: float, count: int = STEPS) -> dict[str, Array]:
    """The arguments after some steps."""
    values = initial(module, lr)
    for step in range(count):
        values["step"] = np.array(step, np.int32)
        results = run_named(module, values)
        values.update({name: a for (kind, name), a in results.items() if kind == "update"})
    return values


def torch_steps(make, count: int = STEPS, mask=None) -> dict[str, Array]:
    """The parameters after the same steps in torch; `mask` keeps the gradient of w where 1."""
    arrays = random_inputs(NETWORK, seed=2)
    x, t = torch.tensor(arrays["x"]), torch.tensor(arrays["t"])
    parameters = {n: torch.nn.Parameter(torch.tensor(arrays[n])) for n in ("w", "v", "spare")}
    optimizer = make(list(parameters.values()))
    for _ in range(count):
        optimizer.zero_grad()
        hidden = torch.tanh(x @ parameters["w"].T)
        ((hidden @ parameters["v"].T - t) ** 2).sum().backward()
        if mask is not None:
            parameters["w"].grad *= mask
        optimizer.step()
    return {name: parameter.detach().numpy() for name, parameter in parameters.items()}


unit = st.floats(0.0, 0.9).map(lambda value: round(value, 3))
decay = st.sampled_from([0.0, 0.01, 0.3])
SGD_OPTIONS = st.builds(
    lambda momentum, dampening, nesterov, weight_decay: {
        "lr": 0.01,
        "momentum": max(momentum, 0.1) if nesterov else momentum,
        "dampening": 0.0 if nesterov else dampening,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
    },
    st.one_of(st.just(0.0), unit),
    unit,
    st.booleans(),
    decay,
)
ADAM_OPTIONS = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.001, 0.05]),
        "betas": st.tuples(unit, unit.map(lambda value: 0.9 + value / 10)),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "weight_decay": decay,
    }
)
OPTIMIZERS = st.one_of(
    st.tuples(st.just(torch.optim.SGD), SGD_OPTIONS),
    st.tuples(st.sampled_from([torch.optim.Adam, torch.optim.AdamW]), ADAM_OPTIONS),
)
TRAINED = train_all(NETWORK)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(OPTIMIZERS)
def test_steps_equal_those_of_torch(chosen) -> None:
    kind, options = chosen
    optimizer = from_torch(kind([torch.nn.Parameter(torch.zeros(1))], **options))
    found = steps(with_optimizer(optimizer, TRAINED), options["lr"])
    wanted = torch_steps(lambda parameters: kind(parameters, **options))
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-5, atol=2e-6, err_msg=name)


class KerasAdamW(torch.optim.Optimizer):
    """keras.optimizers.AdamW.update_step: eps is added before the bias is corrected."""

    def __init__(self, parameters, lr, betas, eps, weight_decay):
        super().__init__(parameters, {})
        self.options = lr, *betas, eps, weight_decay
        self.count = 0

    @torch.no_grad()
    def step(self):
        lr, beta1, beta2, eps, weight_decay = self.options
        self.count += 1
        alpha = lr * (1 - beta2**self.count) ** 0.5 / (1 - beta1**self.count)
        for w in self.param_groups[0]["params"]:
            if w.grad is not None:
                m, v = self.state[w].setdefault("moments", [torch.zeros_like(w) for _ in range(2)])
                w -= w * weight_decay * lr
                m += (w.grad - m) * (1 - beta1)
                v += (w.grad**2 - v) * (1 - beta2)
                w -= m * alpha / (v**0.5 + eps)


class OptaxLion(torch.optim.Optimizer):
    """optax.lion: the sign of the interpolated momentum, then decay, then the rate."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {})
        self.options = lr, *betas, weight_decay

    @torch.no_grad()
    def step(self):
        lr, beta1, beta2, weight_decay = self.options
        for w in self.param_groups[0]["params"]:
            if w.grad is not None:
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                w -= lr * (torch.sign((1 - beta1) * w.grad + beta1 * m) + weight_decay * w)
                m.copy_((1 - beta2) * w.grad + beta2 * m)


OTHERS = [
    (AdamW(0.05, eps=1e-3, weight_decay=0.1, eps_before_correction=True), KerasAdamW),
    (Lion(0.01, (0.8, 0.95), weight_decay=0.1), OptaxLion),
]


@pytest.mark.parametrize(("optimizer", "reference"), OTHERS)
def test_steps_equal_those_of_other_frameworks(optimizer, reference) -> None:
    options = {name: value for name, value in asdict(optimizer).items() if "before" not in name}
    found = steps(with_optimizer(optimizer, TRAINED), optimizer.lr)
    wanted = torch_steps(lambda parameters: reference(parameters, **options))
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-5, atol=2e-6, err_msg=name)


def test_eps_before_correction_matters() -> None:
    both = [Adam(0.05, eps=1e-3, eps_before_correction=early) for early in (False, True)]
    late, early = (steps(with_optimizer(each, TRAINED), 0.05, 1)["w"] for each in both)
    assert np.abs(late - early).max() > 1e-4


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_slice_is_updated_as_a_masked_parameter(kind) -> None:
    options = {"lr": 0.01} if kind is torch.optim.Adam else {"lr": 0.01, "momentum": 0.9}
    optimizer = from_torch(kind([torch.nn.Parameter(torch.zeros(1))], **options))
    trained = train(NETWORK, {"w": TrainedSlice(1, 1, 2), "v": None})
    module = with_optimizer(optimizer, trained)
    found = steps(module, 0.01)
    mask = torch.tensor([0.0, 1.0, 1.0])
    wanted = torch_steps(lambda parameters: kind(parameters, **options), mask=mask)
    np.testing.assert_allclose(found["w"], wanted["w"], rtol=2e-5, atol=2e-6)
    before = random_inputs(NETWORK, seed=2)["w"]
    assert found["w"][:, 0].tobytes() == before[:, 0].tobytes()
    function = find_function(module, "train_step")
    named = zip(argument_attributes(function), function.args, strict=True)
    states = {name_of(e): shape_of(v) for e, v in named if kind_of(e) == "state"}
    prefix = "momentum" if kind is torch.optim.SGD else "exp_avg"
    assert states[f"{prefix}:w"] == (4, 2)


def test_arguments_and_results() -> None:
    module = with_optimizer(AdamW(lr=0.1), TRAINED, gradients=True)
    function = find_function(module, "train_step")
    arguments = [(kind_of(e), name_of(e)) for e in argument_attributes(function)][5:]
    assert arguments == [
        ("rate", ""),
        ("step", ""),
        ("state", "exp_avg:w"),
        ("state", "exp_avg_sq:w"),
        ("state", "exp_avg:v"),
        ("state", "exp_avg_sq:v"),
    ]
    assert [(kind_of(e), name_of(e)) for e in result_attributes(function)] == [
        ("loss", ""),
        ("update", "w"),
        ("update", "exp_avg:w"),
        ("update", "exp_avg_sq:w"),
        ("update", "v"),
        ("update", "exp_avg:v"),
        ("update", "exp_avg_sq:v"),
        ("gradient", "w"),
        ("gradient", "v"),
    ]
    names = [op.name for op in function.body.block.ops]
    assert names.count("train.adam_correction") == 1


def test_step_that_is_there_is_used() -> None:
    g = Graph()
    w = g.parameter("w", 3)
    g.argument("step", "", (), "i32")
    module = with_optimizer(SGD(lr=0.1, momentum=0.5), train_all(g.module(g.total(w))))
    kinds = [kind_of(e) for e in argument_attributes(find_function(module, "train_step"))]
    assert kinds == ["parameter", "step", "rate", "state"]


def test_update_of_a_scalar_parameter() -> None:
    g = Graph()
    w = g.parameter("w")
    module = train_all(g.module(g(MulOp, w, w)))
    values = {"w": np.array(3.0, np.float32), "rate": np.array(0.25, np.float32)}
    results = run_named(with_optimizer(SGD(lr=0.25), module), values)
    assert results["update", "w"] == 1.5


def reshaped_network(*shape: int) -> ModuleOp:
    """tanh(x w^T), where w of any shape is read as f32[4, 3]."""
    g = Graph()
    x, w = g.input("x", 5, 3), g.parameter("w", *shape)
    y = g(LinearOp, x, g(ReshapeOp, w, shape=(4, 3)), weight_layout="oi")
    module = g.module(g.total(g(TanhOp, y)))
    return with_optimizer(Adam(0.01, weight_decay=0.1), train_all(module))


def test_a_reshaped_parameter_is_updated_in_the_shape_of_its_use() -> None:
    """The update stays beside the gradient, so that one kernel can do both."""
    module = reshaped_network(2, 2, 3)
    ops = find_function(module, "train_step").body.block.ops
    assert [shape_of(op.results[0]) for op in ops if isinstance(op, AdamOp)] == [(4, 3)]

    rng = np.random.default_rng(1)
    names = ("w", "exp_avg:w", "exp_avg_sq:w")
    old = {name: rng.random((2, 2, 3)).astype(np.float32) for name in names}
    fixed = {
        "x": rng.standard_normal((5, 3)).astype(np.float32),
        "rate": np.array(0.01, np.float32),
        "step": np.array(3, np.int32),
    }
    new = run_named(module, {**fixed, **old})
    flat = {name: array.reshape(4, 3) for name, array in old.items()}
    expected = run_named(reshaped_network(4, 3), {**fixed, **flat})
    for name in names:
        assert np.any(new["update", name] != old[name])
        np.testing.assert_array_equal(
            new["update", name], expected["update", name].reshape(2, 2, 3)
        )


@pytest.mark.parametrize("name", RULES)
def test_pass_text_round_trip(name: str) -> None:
    action = OptimizerPass(optimizer=name, weight_decay=0.125, gradients=True)
    spec = str(action.pipeline_pass_spec())
    (read,) = PassPipeline.parse_spec({"add-optimizer": lambda: OptimizerPass}, spec).passes
    assert read == action


# Refusals.


def message(call, *args, **kwargs) -> list[str]:
    with pytest.raises(PockError) as error:
        call(*args, **kwargs)
    return str(error.value).split("\n")


def test_values_out_of_range() -> None:
    assert message(SGD, lr=-1.0, momentum=float("nan"), dampening=float("inf"), nesterov=True) == [
        "error: SGD: lr should be finite and not negative, not -1.0",
        "error: SGD: momentum should be finite and not negative, not nan",
        "error: SGD: dampening should be finite, not inf",
        "error: SGD: nesterov needs a momentum above 0 and no dampening",
    ]
    assert message(Adam, betas=(1.0, -0.1), eps=-1e-8) == [
        "error: Adam: eps should be finite and not negative, not -1e-08",
        "error: Adam: betas[0] should be at least 0 and below 1, not 1.0",
        "error: Adam: betas[1] should be at least 0 and below 1, not -0.1",
    ]
    assert message(AdamW, weight_decay=-0.5) == [
        "error: AdamW: weight_decay should be finite and not negative, not -0.5"
    ]


def test_pass_options_out_of_range() -> None:
    apply = OptimizerPass(optimizer="adagrad").apply
    assert message(apply, CONTEXT, TRAINED.clone()) == [
        "error: no optimizer 'adagrad'; there are adam, adamw, lion, momentum, nesterov, sgd"
    ]
    apply = OptimizerPass(optimizer="adam", beta1=1.5).apply
    assert message(apply, CONTEXT, TRAINED.clone()) == [
        "error: Adam: betas[0] should be at least 0 and below 1, not 1.5"
    ]


def test_nothing_to_update() -> None:
    module = with_optimizer(SGD(lr=0.1), TRAINED)
    assert message(OptimizerPass().apply, CONTEXT, module) == [
        "error: @train_step returns no gradient: apply autodiff first"
    ]


def test_pass_keeps_the_options() -> None:
    for optimizer in (
        SGD(lr=0.0, weight_decay=0.5),
        SGD(lr=0.0, momentum=0.5, dampening=0.25, weight_decay=0.5),
        SGD(lr=0.0, momentum=0.5, nesterov=True),
        Adam(lr=0.0, betas=(0.5, 0.75), eps=0.125, weight_decay=0.5),
        AdamW(lr=0.0),
        AdamW(lr=0.0, eps_before_correction=True),
        Lion(lr=0.0, betas=(0.5, 0.75), weight_decay=0.5),
    ):
        assert optimizer.to_pass().user_facing() == optimizer


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]


def test_from_torch() -> None:
    assert from_torch(torch.optim.SGD(parameters(), lr=torch.tensor(0.5))) == SGD(lr=0.5)
    adam = torch.optim.Adam(parameters(), lr=0.5, decoupled_weight_decay=True, foreach=True)
    assert from_torch(adam) == AdamW(lr=0.5, weight_decay=0.0)
    first, second = parameters()
    groups = [{"params": [first]}, {"params": [second], "fused": False}]
    assert from_torch(torch.optim.AdamW(groups, lr=0.5)) == AdamW(lr=0.5)
    assert replace(from_torch(torch.optim.Adam(parameters())), lr=0.5) == Adam(lr=0.5)


def test_torch_optimizers_that_are_refused() -> None:
    assert message(from_torch, torch.optim.RMSprop(parameters())) == [
        "error: 'RMSprop' is not supported",
        "  help: use torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW",
    ]
    first, second = parameters()
    groups = [{"params": [first], "lr": 0.5}, {"params": [second], "betas": (0.5, 0.5)}]
    optimizer = torch.optim.Adam(groups, amsgrad=True, maximize=True)
    first.grad = torch.ones(2)
    optimizer.step()
    assert message(from_torch, optimizer) == [
        "error: the groups of parameters differ in lr",
        "  help: all trained parameters share one set of options",
        "error: the groups of parameters differ in betas",
        "  help: all trained parameters share one set of options",
        "error: torch.optim.Adam with amsgrad is not supported",
        "error: torch.optim.Adam with maximize is not supported",
        "error: the optimizer has taken steps already, and its state cannot be taken over",
        "  help: give a new optimizer",
    ]
