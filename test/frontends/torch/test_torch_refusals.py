"""What cannot be imported is refused at once, with the user's line and exact words."""

import inspect
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pock.frontends.torch import import_torch
from pock_ir.diagnostics import PockError

X = torch.linspace(-1, 1, 12).reshape(3, 4)
TARGET = torch.tensor([0, 1, 3])
PICTURE = torch.zeros(2, 4, 6, 6)


class Calls(nn.Module):
    """A linear layer and then `function`, so that gradients flow into it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.fc(x))


def refusal(
    model: nn.Module, *args: Tensor, target: object = TARGET, loss: object = "cross_entropy"
) -> str:
    with pytest.raises(PockError) as caught:
        import_torch(model, args, target, loss)
    return re.sub(r"test_torch_refusals.py:\d+:0", "HERE", str(caught.value))


def test_everything_unsupported_is_reported_at_once() -> None:
    def function(x: Tensor) -> Tensor:
        y = x.topk(2).values.sum()
        z = x.logcumsumexp(1)
        return z + y + z.median()

    assert refusal(Calls(function), X) == (
        "HERE: error: aten.topk.default is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operators, or compute it outside of the model\n"
        "HERE: error: aten.logcumsumexp.default is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operators, or compute it outside of the model\n"
        "HERE: error: aten.median.default is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operators, or compute it outside of the model"
    )


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x.logcumsumexp(1))


def test_the_line_is_that_of_the_call() -> None:
    with pytest.raises(PockError) as caught:
        import_torch(Sums(), (X,), TARGET, "cross_entropy")
    start = inspect.getsourcelines(Sums.forward)[1]
    assert caught.value.diagnostics[0].location == f"test_torch_refusals.py:{start + 1}:0"


def test_a_loss_function_is_located_where_it_is_defined() -> None:
    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        return outputs.logcumsumexp(1).sum()

    with pytest.raises(PockError) as caught:
        import_torch(nn.Linear(4, 4), (X,), TARGET, loss)
    start = loss.__code__.co_firstlineno
    assert caught.value.diagnostics[0].location == f"test_torch_refusals.py:{start}:0"


OPERATORS = {
    "power": (
        lambda x: x + x.long() ** x.long(),
        "aten.pow.Tensor_Tensor: integers to powers of integers are not supported"
        " (operands: 3x4xi64, 3x4xi64)",
    ),
    "scale": (
        lambda x: nn.functional.interpolate(x[None], scale_factor=1.9)[0, :, :4] + x,
        "aten.upsample_nearest1d.vec: a scale of 1.9 does not take 4 elements to 7 exactly"
        " (operands: 1x3x4xf32)\n"
        "  help: give interpolate a size, or recompute_scale_factor=True",
    ),
    "norm": (
        lambda x: x / x.norm(p=3),
        "aten.linalg_vector_norm.default: norms of order 3 are not supported (operands: 3x4xf32)\n"
        "  help: use 1 or 2",
    ),
    "random": (
        lambda x: x * torch.rand(4),
        "aten.rand.default: random numbers are supported as floor(keep + rand) only"
        " (operands: none)\n"
        "  help: use dropout, or Tensor.bernoulli_(p)",
    ),
    "indexing": (
        lambda x: x[x > 0].sum() + x,
        "aten.index.Tensor: indexing is supported by tensors of integers only"
        " (operands: 3x4xf32, 3x4xi1)\n"
        "  help: choose elements of a tensor of one size with where",
    ),
    "complex": (
        lambda x: torch.view_as_real(torch.complex(x, x))[..., 0],
        "aten.complex.default is not supported (operands: 3x4xf32)\n"
        "  help: write it with supported operators, or compute it outside of the model\n"
        "HERE: error: aten.view_as_real.default is not supported (operands: 3x4xcomplex64)\n"
        "  help: write it with supported operators, or compute it outside of the model",
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator(name: str) -> None:
    function, message = OPERATORS[name]
    assert refusal(Calls(function), X) == f"HERE: error: {message}"


class OnPicture(nn.Module):
    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean((2, 3))


PICTURES = {
    "transposed": (
        nn.ConvTranspose2d(4, 4, 3),
        "aten.convolution.default: transposed convolution is not supported"
        " (operands: 2x4x6x6xf32, 4x4x3x3xf32, 4xf32)",
    ),
    "divisor": (
        nn.AvgPool2d(2, divisor_override=3),
        "aten.avg_pool2d.default: divisor_override is not supported (operands: 2x4x6x6xf32)",
    ),
    "ceil": (
        nn.AvgPool2d(4, 3, padding=1, ceil_mode=True),
        "aten.avg_pool2d.default: ceil_mode that adds a partial window to padding that counts is"
        " not supported (operands: 2x4x6x6xf32)\n"
        "  help: use count_include_pad=False, or pad the input",
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_operator(name: str) -> None:
    layer, message = PICTURES[name]
    target = torch.tensor([0, 1])
    assert refusal(OnPicture(layer), PICTURE, target=target) == f"HERE: error: {message}"


def test_detach_between_parameters_and_loss() -> None:
    assert refusal(Calls(lambda x: x + x.detach()), X) == (
        "HERE: error: detach stops a gradient, which is not supported\n"
        "  help: compute it outside of the model and pass it as an input, or remove the stop"
    )


def test_no_grad_between_parameters_and_loss() -> None:
    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = x.abs()
        return x * scale

    assert refusal(Calls(function), X) == (
        "HERE: error: torch.no_grad() stops a gradient, which is not supported\n"
        "  help: compute it outside of the model and pass it as an input, or remove the stop"
    )


def test_detach_in_the_loss() -> None:
    def loss(outputs: Tensor, target: Tensor) -> Tensor:
        return (outputs - outputs.detach()).mean() + 0 * target.sum()

    assert "detach stops a gradient" in refusal(Calls(lambda x: x), X, loss=loss)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, dy: Tensor) -> Tensor:
        return -dy


def test_function_with_its_own_gradient() -> None:
    assert refusal(Calls(lambda x: Reversed.apply(x)), X) == (
        "HERE: error: torch.autograd.Function Reversed defines its own gradient,"
        " which is not supported\n"
        "  help: write its forward with PyTorch operators that have the wanted gradient"
    )


def test_backward_hook() -> None:
    model = Calls(lambda x: x)
    model.fc.register_full_backward_hook(lambda *_: None)
    assert refusal(model, X) == (
        "error: module fc: a backward hook changes gradients, which is not supported\n"
        "  help: remove the hook before compiling"
    )


def test_cumulative_batch_norm() -> None:
    assert refusal(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None)), X) == (
        "error: module 1: batch norm with momentum=None (a cumulative average) is not supported\n"
        "  help: give it a momentum, or freeze the layer with eval()"
    )


def test_data_dependent_control_flow() -> None:
    message = refusal(Calls(lambda x: x if x.sum() > 0 else -x), X)
    assert message.startswith("HERE: error: torch.export cannot trace Calls: ")


def test_weights_that_overlap() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[0].weight.data.t())
    assert refusal(model, X) == (
        "error: parameter '1.weight' shares memory with '0.weight' under another shape or stride\n"
        "  help: tie whole tensors, or transpose inside forward"
    )


def test_loss_that_is_no_scalar() -> None:
    assert refusal(Calls(lambda x: x), X, loss=lambda y, _: y) == (
        "error: the loss should be one float scalar, not tensor<3x4xf32>\n"
        "  help: reduce it, for example with mean()"
    )


def test_unknown_loss() -> None:
    assert refusal(Calls(lambda x: x), X, loss="hinge") == (
        "error: no loss is called 'hinge'\n  help: use 'cross_entropy', 'mse', or a function"
    )


def test_dynamic_shape() -> None:
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(nn.Linear(4, 4), (X,), dynamic_shapes=({0: batch},))
    with pytest.raises(PockError) as caught:
        import_torch(program, (X,), TARGET, "cross_entropy")
    assert "is not static" in str(caught.value)


def test_model_is_restored_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), Calls(lambda x: x.logcumsumexp(1)))
    model[1].eval()
    flags = [inner.training for inner in model.modules()]
    refusal(model, X)
    assert [inner.training for inner in model.modules()] == flags
    assert F.dropout is torch.nn.functional.dropout
