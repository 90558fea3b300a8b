"""Small members of every model family that pock is meant for, as jobs, and their programs, cached.

Sizes are odd on purpose (no multiple of a vector), and small: a job compiles in a second or two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import nn

from pock.compiler import Job, compile_job
from pock.program import Program
from pock.zoo import efficientnet_lite, mcunet, mobilenet, resnet
from pock.zoo.bert import TINY, BertModel
from pock.zoo.mlp import mlp
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer

torch.set_num_threads(1)

CLASSES = 5
BATCH = 4

OPTIMIZERS: Mapping[str, Optimizer] = {
    "sgd": SGD(lr=0.05),
    "sgd-decay": SGD(lr=0.05, weight_decay=0.01),
    "momentum": SGD(lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": SGD(lr=0.05, momentum=0.9, nesterov=True),
    "adam": Adam(lr=1e-3, weight_decay=0.01),
    "adamw": AdamW(lr=1e-3),
    "keras-adamw": AdamW(lr=1e-3, eps=1e-7, weight_decay=4e-3, eps_before_correction=True),
    "lion": Lion(lr=1e-3),
}


class Classifier(nn.Module):
    """Features, global mean, dropout and one linear layer."""

    def __init__(self, features: nn.Module, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.features = features
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(x).mean((2, 3))))


class TokenClassifier(nn.Module):
    """A BERT encoder with the tokens' mean as the sentence."""

    def __init__(self, layers: int, dropout: float) -> None:
        super().__init__()
        config = replace(TINY, layers=layers, dropout=dropout, attention_dropout=dropout)
        self.bert = BertModel(config)
        self.head = nn.Linear(config.width, CLASSES)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.head(self.bert(tokens, mask).mean(1))


def _labels() -> torch.Tensor:
    return torch.arange(BATCH) % CLASSES


def mlp_job() -> Job:
    return Job(mlp(11, 19, CLASSES), (torch.randn(BATCH, 11),), _labels())


def mse_job() -> Job:
    """Regression; the target is no constant and its last axis is odd."""
    return Job(mlp(11, 19, 3), (torch.randn(BATCH, 11),), torch.randn(BATCH, 3), "mse")


def dropout_job() -> Job:
    """Dropout on a picture and on a row, with batch statistics in between."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Dropout(0.3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6 * 49, CLASSES),
    )
    return Job(model, (torch.randn(BATCH, 3, 7, 7),), _labels())


def mobilenet_job() -> Job:
    """Stem, a block without expansion, a strided one, a residual one."""
    features = nn.Sequential(
        mobilenet._conv_norm(3, 8, 3, 2),
        mobilenet.InvertedResidual(8, 8, 1, 1),
        mobilenet.InvertedResidual(8, 12, 2, 4),
        mobilenet.InvertedResidual(12, 12, 1, 3),
    )
    return Job(Classifier(features, 12, 0.2), (torch.randn(BATCH, 3, 22, 22),), _labels())


def efficientnet_job() -> Job:
    """5x5 depthwise kernels, and padding that differs between the sides."""
    features = nn.Sequential(
        efficientnet_lite.SamePadConv2d(3, 8, 3, 2),
        nn.BatchNorm2d(8, eps=1e-3, momentum=0.01),
        nn.ReLU6(),
        efficientnet_lite.InvertedResidual(8, 12, 5, 2, 3),
        efficientnet_lite.InvertedResidual(12, 12, 5, 1, 3),
    )
    return Job(Classifier(features, 12), (torch.randn(BATCH, 3, 20, 20),), _labels())


def mcunet_job() -> Job:
    """Kernels of 3, 5 and 7."""
    blocks = mcunet.parse_blocks("16-8k3s1 24-12k7s2 36-12k5s1r")
    model = mcunet.InvertedResidualNet(blocks, CLASSES)
    return Job(model, (torch.randn(BATCH, 3, 18, 18),), _labels())


def resnet_job() -> Job:
    """A 7x7 stem, max pooling, and both kinds of blocks with a projected shortcut."""

    def shortcut(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(resnet._conv1x1(inputs, outputs, 2), nn.BatchNorm2d(outputs))

    features = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        resnet.BasicBlock(8, 8, 1, None),
        resnet.BasicBlock(8, 12, 2, shortcut(8, 12)),
        resnet.Bottleneck(12, 5, 2, shortcut(12, 20)),
    )
    return Job(Classifier(features, 20), (torch.randn(BATCH, 3, 40, 40),), _labels())


def bert_job(layers: int = 2, dropout: float = 0.1) -> Job:
    """Embeddings, masked attention, layer norm, gelu and dropout everywhere."""
    tokens = torch.randint(0, TINY.vocabulary, (BATCH, 13))
    mask = torch.ones_like(tokens)
    mask[1, 9:] = 0
    mask[2, 3:] = 0
    return Job(TokenClassifier(layers, dropout), (tokens, mask), _labels())


FAMILIES: Mapping[str, Callable[[], Job]] = {
    "mlp": mlp_job,
    "mse": mse_job,
    "dropout": dropout_job,
    "mobilenet": mobilenet_job,
    "efficientnet": efficientnet_job,
    "mcunet": mcunet_job,
    "resnet": resnet_job,
    "bert": bert_job,
}


def job(family: str, optimizer: str = "sgd", seed: int = 0, **changes: object) -> Job:
    """A job of `FAMILIES` in training mode, with weights and data from `seed`."""
    torch.manual_seed(seed)
    made = FAMILIES[family]()
    made.model.train()
    return replace(made, optimizer=OPTIMIZERS[optimizer], name="net", **changes)


@functools.cache
def program(
    family: str, optimizer: str = "sgd", update: str = "full", target: str = "host"
) -> Program:
    """The compiled program of `job(...)`; shared, so run it in sessions of your own."""
    return compile_job(job(family, optimizer, update=update, target=target, seed=0))


def arrays(family: str) -> list[torch.Tensor]:
    """The example inputs and targets of `job(family)`, in order."""
    made = job(family)
    return [*made.example_inputs, made.example_targets]
