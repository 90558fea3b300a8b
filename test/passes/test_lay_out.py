"""Layouts: one transpose is left of a CNN, none of an encoder, and nothing is computed anew."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from imported_runs import assert_close, function_named, op_counts, run_imported
from torch import Tensor, nn
from torch_import import given_arrays

from pock.frontends.torch import Imported, import_torch
from pock.zoo import bert, resnet
from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.decompose_norms import DecomposeNormsPass
from pock_ir.passes.lay_out import LayOutPass
from pock_ir.passes.signature import argument_attributes, name_of
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.types import shape_of
from pock_ir.verify import verify_module

PICTURE = torch.sin(torch.arange(2 * 3 * 8 * 8.0)).reshape(2, 3, 8, 8).double()
LABELS = torch.tensor([1, 0])


def laid_out(
    model: nn.Module, inputs: tuple[Tensor, ...], layout: str = "nhwc", linear: str = "io"
) -> Imported:
    """Import, lay out, and check that every function computes the same in f64 at each step."""
    imported = import_torch(model.double(), inputs, LABELS, "cross_entropy")
    given = given_arrays(imported, inputs, LABELS)
    names = [function.sym_name.data for function in imported.module.ops]
    before = {name: run_imported(imported, name, given) for name in names}
    context = make_context()
    passes = [
        CanonicalizePass(),
        SimplifyPass(),
        LayOutPass(layout=layout, linear=linear),
        CanonicalizePass(),
    ]
    for step in passes:
        step.apply(context, imported.module)
        verify_module(imported.module)
        check_equal(imported, before, given)
    decomposed = copy.copy(imported)
    object.__setattr__(decomposed, "module", imported.module.clone())
    DecomposeNormsPass().apply(context, decomposed.module)
    verify_module(decomposed.module)
    check_equal(decomposed, before, given)
    return imported


def check_equal(imported: Imported, before: dict, given: dict[str, np.ndarray]) -> None:
    for name, results in before.items():
        found = run_imported(imported, name, given)
        for key, value in results.items():
            assert_close(found[key], value, 1e-10)


def transposes(imported: Imported) -> list[int]:
    return [op_counts(function).get("nn.transpose", 0) for function in imported.module.ops]


class Wide(nn.Module):
    """Everything a transpose can move past, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.squeeze = nn.Conv2d(4, 2, 1)
        self.excite = nn.Conv2d(2, 4, 1)
        self.conv2 = nn.Conv2d(8, 4, 3, stride=2, groups=4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.bn(self.conv1(x)))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = x * gate
        x = torch.cat([x.softmax(1), F.avg_pool2d(F.pad(x, (1, 1, 0, 2)), (3, 3), 1)[:, :, :8]], 1)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.fc(x.amax((2, 3)) + x.sum(1).mean((1, 2))[:, None])


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(resnet.CifarResNet(1, 3), id="resnet"),
        pytest.param(resnet.CifarResNet(1, 3).eval(), id="resnet-frozen"),
        pytest.param(Wide(), id="wide"),
    ],
)
def test_a_cnn_keeps_one_transpose_at_its_input(model: nn.Module) -> None:
    imported = laid_out(model, (PICTURE,))
    assert transposes(imported) == [1, 1, 1]
    for function in imported.module.ops:
        first = next(op for op in function.body.block.ops if op.name == "nn.transpose")
        assert first.operands[0].name_hint == "x"


def flattening() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def test_a_flattening_reshape_keeps_one_more() -> None:
    assert transposes(laid_out(flattening(), (PICTURE,))) == [2, 2, 2]


def test_dropout_of_a_picture_keeps_its_masks() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3))
    assert transposes(laid_out(model, (PICTURE,))) == [2, 2, 2]


def test_encoder_has_no_transposes() -> None:
    ids, mask = torch.arange(16).reshape(2, 8), torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
    imported = laid_out(bert.bert_classifier(bert.TINY, 3), (ids, mask))
    assert transposes(imported) == [0, 0, 0]


def stored(imported: Imported, function: str = "train") -> dict[str, tuple[tuple[int, ...], bool]]:
    """(shape, whether it is permuted) of each argument."""
    found = function_named(imported, function)
    entries = argument_attributes(found)
    return {
        name_of(entry): (shape_of(value), "pock.permute" in entry)
        for value, entry in zip(found.args, entries, strict=True)
    }


def test_weights_are_stored_as_kernels_read_them() -> None:
    imported = laid_out(flattening(), (PICTURE,))
    for function in ("train", "eval", "infer"):
        arguments = stored(imported, function)
        assert arguments["0.weight"] == ((3, 3, 3, 4), True)
        assert arguments["3.weight"] == ((144, 3), True)
        assert arguments["3.bias"] == ((3,), False)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(3, 8)
        self.inner = nn.Linear(8, 8)

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.inner(self.embed(ids)), self.embed.weight)


def test_a_tied_weight_keeps_its_form() -> None:
    arguments = stored(laid_out(Tied(), (torch.tensor([2, 1]),)))
    assert arguments["embed.weight"] == ((3, 8), False)
    assert arguments["inner.weight"] == ((8, 8), True)


@pytest.mark.parametrize(
    ("layout", "linear", "conv_shape", "linear_shape"),
    [("keep", "oi", (4, 3, 3, 3), (3, 144)), ("keep", "io", (4, 3, 3, 3), (144, 3))],
)
def test_options(layout: str, linear: str, conv_shape: object, linear_shape: object) -> None:
    imported = laid_out(flattening(), (PICTURE,), layout, linear)
    arguments = stored(imported)
    assert arguments["0.weight"][0] == conv_shape and arguments["3.weight"][0] == linear_shape
    assert transposes(imported) == [0, 0, 0]


@pytest.mark.parametrize(
    "make", [lambda: LayOutPass(layout="nchw"), lambda: LayOutPass(linear="x")]
)
def test_unknown_option(make: Callable[[], LayOutPass]) -> None:
    imported = import_torch(Tied(), (torch.tensor([2, 1]),), LABELS, "cross_entropy")
    with pytest.raises(PockError, match="should be one of"):
        make().apply(make_context(), imported.module)
