"""Each operator against PyTorch: values in f32 and f64, and gradients where it has kinks."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from imported_runs import assert_close, run_imported
from operator_cases import CASES, UNARY, X
from torch import Tensor, nn
from torch_import import given_arrays

from pock.frontends.torch import Imported, import_torch
from pock_ir.dialects import make_context
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass, parse_update

TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

NO_GRADIENT = {
    *("pow0", "dropout_all", "sign", "floor", "ceil", "trunc", "round"),
}
"""The gradient is zero everywhere, which autodiff leaves out."""


class Table(nn.Module):
    """All cases in one model: one trace instead of hundreds."""

    def forward(self, tensors: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor]:
        return {name: function(*tensors[name]) for name, (function, _) in CASES.items()}


def converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.dtype.is_floating_point else tensor


def no_loss(outputs: dict[str, Tensor], target: Tensor) -> Tensor:
    return outputs["relu"].sum() + target


@cache
def table_results(dtype: torch.dtype) -> tuple[dict[str, np.ndarray], dict[str, Tensor]]:
    tensors = {
        name: tuple(converted(tensor, dtype) for tensor in args)
        for name, (_, args) in CASES.items()
    }
    target = torch.zeros((), dtype=dtype)
    imported: Imported = import_torch(Table().eval(), (tensors,), target, no_loss)
    given = given_arrays(imported, [tensors], target)
    results = run_imported(imported, "infer", given)
    return {name: value for (_, name), value in results.items()}, Table()(tensors)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
def test_values(name: str, dtype: torch.dtype) -> None:
    values, references = table_results(dtype)
    assert values[name].dtype == references[name].numpy().dtype
    tolerance = 0.02 if name == "to_half_and_back" else TOLERANCE[dtype]
    assert_close(values[name], references[name].numpy(), tolerance)


class Weighted(nn.Module):
    """Sums every differentiable case of a parameter of its own, weighted."""

    def __init__(self, cases: dict[str, Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.cases = cases
        self.x = nn.ParameterDict({name: nn.Parameter(X.clone()) for name in cases})

    def forward(self, weights: Tensor) -> Tensor:
        total = weights.sum() * 0
        for name, function in self.cases.items():
            y = function(self.x[name]).flatten()
            total = total + (y * weights[: y.numel()]).sum()
        return total


@cache
def gradients() -> tuple[dict[str, np.ndarray], dict[str, Tensor]]:
    cases = {name: function for name, function in UNARY.items() if name not in NO_GRADIENT}
    model = Weighted(cases).double()
    weights = torch.linspace(0.5, 1.5, 80, dtype=torch.float64)
    imported = import_torch(model, (weights,), torch.zeros(()).double(), torch.add)
    context = make_context()
    ApplySchemePass.of(parse_update("full")).apply(context, imported.module)
    AutodiffPass().apply(context, imported.module)
    given = given_arrays(imported, [weights], torch.zeros(()).double())
    results = run_imported(imported, "train_step", given)
    model(weights).backward()
    found = {
        name.removeprefix("x."): value
        for (kind, name), value in results.items()
        if kind == "gradient"
    }
    return found, {name: value.grad for name, value in model.x.items()}


@pytest.mark.parametrize("name", [name for name in UNARY if name not in NO_GRADIENT])
def test_gradients_at_kinks_and_bounds(name: str) -> None:
    found, references = gradients()
    # PyTorch multiplies by 1/6 in f32 here, even for f64.
    tolerance = 1e-7 if name == "hardsigmoid" else 1e-12
    assert_close(found[name], references[name].numpy(), tolerance)


class Pairs(nn.Module):
    """x[:, i, j]"""

    def forward(self, x: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return x[:, i, j]


def test_each_of_several_indices_stays_in_its_own_range() -> None:
    """Where PyTorch raises, the nearest element is taken, not one of another row."""
    x, inside = torch.arange(24.0).reshape(2, 3, 4), torch.tensor([0, 1, 2])
    imported = import_torch(Pairs(), (x, inside, inside), torch.zeros(2, 3), "mse")
    outside = torch.tensor([0, 1, 9])
    given = given_arrays(imported, [x, inside, outside], torch.zeros(2, 3))
    values = run_imported(imported, "infer", given)["output", "output"]
    np.testing.assert_array_equal(values, x[:, [0, 1, 2], [0, 1, 3]].numpy())
