"""Whole training runs against PyTorch: loss, every gradient, every updated tensor, 3 steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from random_nets import random_job
from small_models import CLASSES, FAMILIES, OPTIMIZERS, bert_job, job
from torch import nn

from pock.compiler import Job
from pock.host import cpu_flags
from pock.verify import Verification, verify_program
from pock_ir.passes.optimizer import SGD
from pock_ir.passes.scheme_rules import Rule, Scheme

# One optimizer per family, so that together they cover all.
PAIRS = dict(
    zip(
        FAMILIES,
        ("adam", "nesterov", "momentum", "sgd-decay", "sgd", "adamw", "momentum", "adamw"),
        strict=True,
    )
)

# Nothing in these amplifies rounding, so no tensor may need repeated runs.
WELL_CONDITIONED = ("mlp", "mse", "bert")


def check(job: Job, steps: int = 3) -> Verification:
    found = verify_program(job, steps)
    assert found.passed, "\n".join(map(str, found.differing()[:10]))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str) -> None:
    found = check(job(family, PAIRS[family]))
    if family in WELL_CONDITIONED:
        assert not found.repeated()


@pytest.mark.parametrize("family", ["mlp", "dropout"])
def test_everything_is_compared(family: str) -> None:
    """Every parameter that PyTorch would train, and every buffer that it would change, is there."""
    made = job(family)
    rows = verify_program(made, 1).rows
    parameters = {name for name, _ in made.model.named_parameters()}
    buffers = {name for name, _ in made.model.named_buffers()}
    assert {row.name for row in rows if row.kind == "gradient"} == parameters
    assert {row.name for row in rows if row.kind == "updated"} == parameters | buffers


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str) -> None:
    assert not check(job("mlp", optimizer), steps=4).repeated()


@pytest.mark.parametrize(
    ("family", "target"),
    [
        ("bert", "c"),
        ("dropout", "c"),
        ("mlp", "c"),
        ("bert", "x86-64-v3"),
        ("dropout", "x86-64-v3"),
        ("bert", "host:threads=2"),
        ("mobilenet", "host:threads=2"),
    ],
)
def test_targets(family: str, target: str) -> None:
    if target.startswith("x86") and not {"avx2", "fma"} <= cpu_flags():
        pytest.skip("this machine has no AVX2")
    check(job(family, "momentum", target=target))


@pytest.mark.parametrize("layout", ["nhwc", "keep"])
def test_layouts(layout: str) -> None:
    check(job("dropout", layout=layout), steps=2)


def test_frozen_statistics() -> None:
    """Batch norm in eval mode, as in fine-tuning: nothing amplifies rounding there."""
    made = job("mcunet", "momentum")
    made.model.eval()
    assert not check(made).repeated()


SCHEMES = {
    "bias": Scheme.bias_only(),
    "inputs": Scheme((Rule("*.pw1.conv.weight", ratio=0.4), Rule("@head"))),
    "outputs": Scheme((Rule("*.pw2.conv.weight", ratio=0.3, axis="output"), Rule("@bias"))),
    "depthwise": Scheme((Rule("*.dw.conv.weight", ratio=0.5, axis="output"), Rule("@head"))),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes(name: str) -> None:
    """Only the trained part has a gradient, state, and weight decay."""
    check(job("mcunet", "momentum", update=SCHEMES[name]), steps=2)


def test_a_slice_with_adam() -> None:
    update = Scheme((Rule("layers.0.weight", ratio=0.5), Rule("layers.1.*")))
    assert not check(job("mlp", "adam", update=update)).repeated()


def test_last_block_of_bert() -> None:
    check(replace(job("bert", "adamw"), update="last:1"))


@pytest.mark.parametrize("seed", range(8))
def test_random_nets(seed: int) -> None:
    check(replace(random_job(seed), optimizer=SGD(lr=0.01, momentum=0.9)), steps=2)


class Narrow(nn.Module):
    """Convolutions whose matrix products have a side of one, beside each other.

    One output; one element per patch, in one and in several groups; one tap per pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 2, 3, padding=1)
        self.branches = nn.ModuleList(
            (
                nn.Conv2d(2, 1, (1, 5), (2, 1), (0, 3)),
                nn.Conv2d(2, 4, 1, 2, groups=2),
                nn.Conv2d(2, 1, 2, 2),
                nn.Conv2d(2, 4, (2, 3), 2, 1, groups=2),
                nn.Conv2d(2, 1, 1, 2),
                nn.Conv2d(2, 4, 2, 2, groups=2),
            )
        )
        self.deep = nn.Conv2d(1, 4, 1, 2)
        self.head = nn.LazyLinear(CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        parts = [branch(x) for branch in self.branches]
        parts.append(self.deep(parts[0]))
        return self.head(torch.cat([part.flatten(1) for part in parts], 1))


@pytest.mark.parametrize("target", ["c", "host"])
def test_narrow_convolutions(target: str) -> None:
    torch.manual_seed(0)
    model, x = Narrow(), torch.randn(3, 2, 11, 14)
    model(x)  # gives the lazy layer its size
    check(Job(model, (x,), torch.arange(3), target=target, name="net"), steps=1)


@pytest.mark.parametrize("activation", [nn.SiLU, nn.GELU, nn.Hardswish])
def test_products_without_bias_before_activations(activation: type[nn.Module]) -> None:
    """The kernel returns its product, for the gradient, and the activation of it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 2, bias=False),
        activation(),
        nn.Flatten(),
        nn.Linear(60, 7, bias=False),
        activation(),
        nn.Linear(7, CLASSES, bias=False),
    )
    made = Job(model, (torch.randn(3, 2, 6, 5),), torch.arange(3), name="net")
    assert not check(made, steps=2).repeated()


def test_parameters_without_gradient_stay() -> None:
    made = job("mlp", "sgd-decay")
    made.model.layers[0].weight.requires_grad_(False)
    names = {row.name for row in check(made, steps=1).rows if row.kind == "gradient"}
    assert names == {"layers.0.bias", "layers.1.weight", "layers.1.bias"}


@pytest.mark.parametrize("family", ["mlp", "dropout"])
def test_exported_program(family: str) -> None:
    made = job(family, "momentum")
    exported = torch.export.export(made.model, made.example_inputs)
    check(replace(made, model=exported), steps=2)


def test_keyword_inputs() -> None:
    made = bert_job(layers=1)
    tokens, mask = made.example_inputs
    made.model.train()
    check(replace(made, example_inputs={"mask": mask, "tokens": tokens}, name="net"), steps=1)


class Tied(nn.Module):
    """One table as embedding and as output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(13, 6)
        self.out = nn.Linear(6, 13, bias=False)
        self.out.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.table(ids).tanh()).mean(1)


def test_tied_weights() -> None:
    torch.manual_seed(0)
    made = Job(Tied(), (torch.randint(0, 13, (4, 5)),), torch.arange(4), name="net")
    found = check(made)
    assert {row.name for row in found.rows if row.kind == "gradient"} == {"table.weight"}


def test_loss_function() -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(
            outputs, targets, label_smoothing=0.1, ignore_index=2
        )

    check(job("mlp", loss=loss))
