"""Rows about optimizers: what one step does, and the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import optax
import torch
from difference_rows import Shown, check_shown
from framework_models import jax_model, jax_weighted
from imported_runs import assert_close
from xdsl.dialects.builtin import ModuleOp

import pock
from pock.frontends import import_model, optimizer_from
from pock_ir.dialects import make_context
from pock_ir.interpret import find_function, run_function
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, result_attributes
from pock_ir.types import shape_of

START = np.array([0.0, 1.0, -2.0], np.float32)
GRADIENTS = [np.array(g, np.float32) for g in ([1e-6, 0.5, -1e-6], [1e-6, -0.2, 1], [0, 1, 1e-3])]


def torch_steps(make: Callable[..., Any]) -> np.ndarray:
    weight = torch.nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = make([weight])
    for gradient in GRADIENTS:
        weight.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    return weight.detach().numpy()


def optax_steps(make: Callable[..., Any]) -> np.ndarray:
    weight, optimizer = jnp.asarray(START), make(None)
    state = optimizer.init(weight)
    for gradient in GRADIENTS:
        change, state = optimizer.update(jnp.asarray(gradient), state, weight)
        weight = optax.apply_updates(weight, change)
    return np.asarray(weight)


def keras_steps(make: Callable[..., Any]) -> np.ndarray:
    variable, optimizer = keras.Variable(START), make(None)
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable)


STEPS = {"torch": torch_steps, "jax": optax_steps, "keras": keras_steps}


@dataclass(frozen=True)
class Choice:
    """An optimizer of a framework: made for parameters, and what the IR of a step says."""

    make: Callable[[Any], Any]
    shows: Shown


@dataclass(frozen=True)
class OptimizerRow:
    """One topic; see `Row`. Every optimizer takes the same steps with the same gradients."""

    topic: str
    spellings: Mapping[str, Choice]
    groups: Sequence[Sequence[str]]
    tolerance: float = 2e-6

    def values(self, name: str) -> list[np.ndarray]:
        """The weights after the framework's own steps."""
        return [STEPS[name.split(".")[0]](self.spellings[name].make)]

    def check(self, name: str) -> None:
        """The weights after pock's steps, and the op that takes them."""
        choice = self.spellings[name]
        weight = torch.nn.Parameter(torch.from_numpy(START.copy()))
        optimizer = optimizer_from(choice.make([weight]))
        module = trained().clone()
        optimizer.to_pass().apply(make_context(), module)
        check_shown(list(find_function(module, "train_step").body.block.ops), choice.shows)
        assert_close(pock_steps(module, optimizer.lr), self.values(name)[0], 2e-6)


@cache
def trained() -> ModuleOp:
    """The gradient of a weighted sum of x, which is the weights."""
    job = pock.Job(jax_model(lambda x: x, x=START), (), START, jax_weighted)
    module = import_model(job).module
    for action in (ApplySchemePass("full"), AutodiffPass()):
        action.apply(make_context(), module)
    return module


def pock_steps(module: ModuleOp, rate: float) -> np.ndarray:
    """x after the steps in the reference interpreter."""
    function = find_function(module, "train_step")
    entries = argument_attributes(function)
    values = {
        name_of(entry): np.zeros(shape_of(value), np.float32)
        for value, entry in zip(function.args, entries, strict=True)
        if kind_of(entry) == "state"
    }
    values |= {"x": START, "rate": np.array(rate, np.float32)}
    keys = [(kind_of(entry), name_of(entry)) for entry in result_attributes(function)]
    for step, gradient in enumerate(GRADIENTS):
        values |= {"target": gradient, "step": np.array(step, np.int32)}
        results = run_function(
            module, "train_step", [values[name_of(e) or kind_of(e)] for e in entries]
        )
        pairs = zip(keys, results, strict=True)
        values.update({name: array for (kind, name), array in pairs if kind == "update"})
    return values["x"]


def adam(early: bool, eps: float, decay: float) -> Shown:
    options = {"eps": eps, "eps_before_correction": early, "weight_decay": decay}
    return {"train.adam": {"decoupled": decay > 0, **options}}


ADAMW = OptimizerRow(
    "AdamW by default",
    {
        "torch": Choice(torch.optim.AdamW, adam(False, 1e-8, 0.01)),
        "jax": Choice(lambda _: optax.adamw(1e-3), adam(False, 1e-8, 1e-4)),
        "keras": Choice(lambda _: keras.optimizers.AdamW(1e-3), adam(True, 1e-7, 0.004)),
    },
    [("torch",), ("jax",), ("keras",)],
)

ADAM_EPSILON = OptimizerRow(
    "place of Adam's epsilon",
    {
        "torch": Choice(torch.optim.Adam, adam(False, 1e-8, 0.0)),
        "jax": Choice(lambda _: optax.adam(1e-3), adam(False, 1e-8, 0.0)),
        "keras": Choice(lambda _: keras.optimizers.Adam(1e-3, epsilon=1e-8), adam(True, 1e-8, 0.0)),
    },
    [("torch", "jax"), ("keras",)],
)

HEAVY = {"train.momentum": {"momentum": 0.9, "dampening": 0.0, "nesterov": False}}
AHEAD = {"train.momentum": {"momentum": 0.9, "dampening": 0.0, "nesterov": True}}
DAMPED = {"train.momentum": {"momentum": 0.9, "dampening": 0.5, "nesterov": False}}

MOMENTUM = OptimizerRow(
    "SGD with momentum",
    {
        "torch": Choice(lambda held: torch.optim.SGD(held, 0.1, 0.9), HEAVY),
        "jax": Choice(lambda _: optax.sgd(0.1, 0.9), HEAVY),
        "keras": Choice(lambda _: keras.optimizers.SGD(0.1, 0.9), HEAVY),
        "torch.nesterov": Choice(
            lambda held: torch.optim.SGD(held, 0.1, 0.9, nesterov=True), AHEAD
        ),
        "jax.nesterov": Choice(lambda _: optax.sgd(0.1, 0.9, nesterov=True), AHEAD),
        "keras.nesterov": Choice(lambda _: keras.optimizers.SGD(0.1, 0.9, nesterov=True), AHEAD),
        "torch.dampened": Choice(lambda held: torch.optim.SGD(held, 0.1, 0.9, 0.5), DAMPED),
    },
    [
        ("torch", "jax", "keras"),
        ("torch.nesterov", "jax.nesterov", "keras.nesterov"),
        ("torch.dampened",),
    ],
)

OPTIMIZER_ROWS = (ADAMW, ADAM_EPSILON, MOMENTUM)
