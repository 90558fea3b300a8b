"""Whole imported models: every gradient of the training step against torch, in f64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_graphs import CONTEXT

from pock.frontends.torch.importer import import_torch
from pock.zoo.bert import BertConfig, bert_classifier
from pock.zoo.mcunet import InvertedResidualNet, parse_blocks
from pock_ir.interpret import find_function, run_function
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, result_attributes

LABELS = torch.tensor([0, 2])
TOKENS = torch.tensor([[1, 4, 2, 9, 9], [3, 3, 0, 7, 5]])
MASK = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
SMALL = BertConfig(layers=2, width=8, heads=2, hidden=12, vocabulary=11, positions=6)


def models():
    torch.manual_seed(0)
    bert = bert_classifier(SMALL, 3).double().eval()
    image = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    blocks = parse_blocks("16-8k3s1 24-12k5s2 24-12k3s1r")
    mobile = InvertedResidualNet(blocks, classes=3).double().train()
    return {"bert": (bert, (TOKENS, MASK)), "mcunet": (mobile, (image,))}


@pytest.mark.parametrize("name", ["bert", "mcunet"])
def test_gradients_of_a_model(name: str) -> None:
    model, inputs = models()[name]
    found = compiled_gradients(model, inputs)
    torch.nn.functional.cross_entropy(model(*inputs), LABELS).backward()
    wanted = {key: parameter.grad.numpy() for key, parameter in model.named_parameters()}
    assert found.keys() == wanted.keys()
    # Shifts before a batch norm have a gradient of zero, so the scale is that of the model.
    scale = max(np.abs(gradient).max() for gradient in wanted.values())
    for key, gradient in found.items():
        np.testing.assert_allclose(
            gradient, wanted[key], rtol=1e-7, atol=1e-10 * scale, err_msg=key
        )


def compiled_gradients(model, inputs) -> dict[str, np.ndarray]:
    imported = import_torch(model, inputs, LABELS, "cross_entropy")
    module = imported.module
    for action in (ApplySchemePass("full"), AutodiffPass()):
        action.apply(CONTEXT, module)
    module.verify()
    function = find_function(module, "train_step")
    values = dict(zip(imported.inputs, inputs, strict=False)) | {imported.targets[0]: LABELS}
    arrays = imported.weights | {key: value.numpy() for key, value in values.items()}
    named = [arrays[name_of(entry)] for entry in argument_attributes(function)]
    results = zip(
        result_attributes(function), run_function(module, "train_step", named), strict=True
    )
    return {name_of(entry): array for entry, array in results if kind_of(entry) == "gradient"}
