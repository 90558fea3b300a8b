"""Layers that people write by hand in PyTorch become whole ops, and train as PyTorch does."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import nn

import pock
from pock_ir.interpret import find_function
from pock_ir.pipeline import Observer


class LlamaRmsNorm(nn.Module):
    """As in the Llama of Hugging Face transformers."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(1.0 + 0.1 * torch.randn(width))
        self.eps = eps

    def forward(self, x):
        dtype = x.dtype
        x = x.to(torch.float32)
        variance = x.pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + self.eps)
        return self.weight * x.to(dtype)


class NewGelu(nn.Module):
    """As in GPT-2."""

    def forward(self, x):
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))
        return 0.5 * x * (1.0 + torch.tanh(inner))


class ErfGelu(nn.Module):
    """As in BERT's first release."""

    def forward(self, x):
        return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class SwishByExp(nn.Module):
    def forward(self, x):
        return x * (1.0 / (1.0 + torch.exp(-x)))


class HardSwish(nn.Module):
    """As in many a MobileNetV3."""

    def forward(self, x):
        return x * nn.functional.relu6(x + 3.0) / 6.0


class LayerNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(1.0 + 0.1 * torch.randn(width))
        self.beta = nn.Parameter(0.1 * torch.randn(width))

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, unbiased=False)
        return self.gamma * (x - mean) / torch.sqrt(variance + 1e-5) + self.beta


class UnbiasedNorm(LayerNorm):
    """As in the annotated transformer: not a layer norm, twice."""

    def forward(self, x):
        mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.gamma * (x - mean) / (deviation + 1e-6) + self.beta


class BatchNorm(LayerNorm):
    """Over rows, with a running mean."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.register_buffer("running_mean", torch.zeros(width))

    def forward(self, x):
        mean = x.mean((0, 1))
        variance = ((x - mean) ** 2).mean((0, 1))
        if self.training:
            self.running_mean.mul_(0.9).add_(0.1 * mean)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.gamma + self.beta


class Attention(nn.Module):
    """Written out, with heads, a mask of the future and dropout."""

    def __init__(self, width: int, causal: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.dropout = nn.Dropout(dropout)
        self.causal = causal

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, 2, width // 2).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // 2)
        if self.causal:
            place = torch.arange(length)
            scores = scores.masked_fill(place[None, :] > place[:, None], float("-inf"))
        powers = torch.exp(scores - scores.amax(-1, keepdim=True))
        weights = self.dropout(powers / powers.sum(-1, keepdim=True))
        return (weights @ v).transpose(1, 2).reshape(batch, length, width)


class Model(nn.Module):
    """Layers between two linear ones."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.last(self.layers(self.first(x)).mean(1))


class Counts(Observer):
    """The ops of the training function after raising."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def after(self, step, module) -> None:
        if step.stage.name == "raise":
            block = find_function(module, "train").body.block
            self.found = Counter(op.name.removeprefix("nn.") for op in block.ops)


MODELS = {
    "llama": (
        lambda: [LlamaRmsNorm(8), Attention(8), LlamaRmsNorm(8), SwishByExp()],
        {"rms_norm": 2, "attention": 1, "silu": 1},
    ),
    "gpt": (
        lambda: [LayerNorm(8), Attention(8, dropout=0.25), LayerNorm(8), NewGelu()],
        {"layer_norm": 2, "attention": 1, "gelu": 1},
    ),
    "bert": (
        lambda: [Attention(8, causal=False), LayerNorm(8), ErfGelu(), Swish()],
        {"layer_norm": 1, "attention": 1, "gelu": 1, "silu": 1},
    ),
    "mobile": (
        lambda: [BatchNorm(8), HardSwish(), nn.Linear(8, 8), BatchNorm(8)],
        {"batch_norm": 2, "hard_swish": 1},
    ),
}
PARTS = {"power", "rsqrt", "sqrt", "tanh", "erf", "exp", "max", "sum", "sigmoid", "matmul", "clamp"}


@pytest.mark.parametrize("name", MODELS)
def test_layers_written_by_hand(name: str) -> None:
    torch.manual_seed(0)
    make, expected = MODELS[name]
    counts = Counts()
    program = pock.compile(
        Model(*make()).train(),
        (torch.randn(4, 5, 6),),
        torch.randint(0, 3, (4,)),
        observers=(counts,),
    )
    assert expected.items() <= counts.found.items()
    assert not PARTS & counts.found.keys()
    assert program.verify(2).passed


def test_a_layer_that_only_looks_like_a_norm_stays() -> None:
    torch.manual_seed(0)
    counts = Counts()
    model = Model(UnbiasedNorm(8)).train()
    inputs, targets = (torch.randn(4, 5, 6),), torch.randint(0, 3, (4,))
    program = pock.compile(model, inputs, targets, observers=(counts,))
    assert not {"layer_norm", "rms_norm", "batch_norm_inference"} & counts.found.keys()
    assert program.verify(2).passed
