"""The reference training equals PyTorch's own, whole and in part."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pock.frontends.torch.oracle import MatchedDropout, make_optimizer, train_reference
from pock.zoo.mlp import mlp
from pock_ir.passes.optimizer import SGD, Adam, AdamW

X = torch.linspace(-1, 1, 20).reshape(4, 5)
Y = torch.tensor([0, 1, 2, 1])
OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    Adam(0.01, weight_decay=0.1),
    AdamW(0.01),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_full_training(optimizer: SGD | Adam) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    history = train_reference(model, "cross_entropy", optimizer, [((X,), Y)], 3)
    torch_optimizer = make_optimizer(optimizer, list(model.parameters()))
    for step in history:
        torch_optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        loss.backward()
        assert step.loss == loss.item()
        for name, parameter in model.named_parameters():
            np.testing.assert_array_equal(step.gradients[name], parameter.grad)
        torch_optimizer.step()
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(step.updated[name], value)


def test_a_part_is_trained_and_the_rest_stays() -> None:
    model = mlp(5, 4, 3)
    before = {name: value.clone().numpy() for name, value in model.state_dict().items()}
    parts = {"layers.0.weight": (0, [1, 3]), "layers.1.bias": None}
    whole = train_reference(model, "cross_entropy", SGD(0.1), [((X,), Y)], 1)[0]
    step = train_reference(model, "cross_entropy", SGD(0.1), [((X,), Y)], 1, trainable=parts)[0]
    rows = step.gradients["layers.0.weight"]
    np.testing.assert_allclose(rows, whole.gradients["layers.0.weight"][[1, 3]], rtol=1e-6)
    updated = step.updated["layers.0.weight"]
    np.testing.assert_array_equal(updated[[0, 2]], before["layers.0.weight"][[0, 2]])
    assert set(step.gradients) == set(parts)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_float64_is_close_to_float32() -> None:
    model = mlp(5, 4, 3)
    low = train_reference(model, "cross_entropy", SGD(0.1), [((X,), Y)], 2)
    high = train_reference(model, "cross_entropy", SGD(0.1), [((X,), Y)], 2, dtype=torch.float64)
    assert high[1].gradients["layers.0.weight"].dtype == np.float64
    assert abs(low[1].loss - high[1].loss) < 1e-6


def test_matched_attention_without_dropout_is_pytorchs() -> None:
    q, k = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 6, 4)
    visible = torch.rand(2, 1, 1, 6) > 0.3
    plain = F.scaled_dot_product_attention(q, k, k, visible)
    with MatchedDropout(1, 0):
        dropped = F.scaled_dot_product_attention(q, k, k, visible, dropout_p=1e-9)
    torch.testing.assert_close(plain, dropped)
