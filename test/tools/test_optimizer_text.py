"""Optimizers as text: the same defaults as in Python, and a way back."""

from __future__ import annotations

import pytest

import pock
from pock.frontends import default_optimizer
from pock.optimizers import DEFAULTS, OPTIONS, optimizer_text, parse_optimizer
from pock_ir.diagnostics import PockError
from pock_ir.passes.optimizer import RULES, Optimizer

SAME: dict[str, Optimizer] = {
    "adam": pock.Adam(),
    "adamw": pock.AdamW(),
    "lion": pock.Lion(),
    "lion{lr=0.5}": pock.Lion(lr=0.5),
    "adamw{lr=1 beta2=0.5}": pock.AdamW(lr=1.0, betas=(0.9, 0.5)),
    "adam{eps-before-correction eps=1e-7}": pock.Adam(eps=1e-7, eps_before_correction=True),
    "momentum{lr=0.1 momentum=0.5 dampening=0.2}": pock.SGD(0.1, 0.5, 0.2),
    "nesterov": pock.SGD(0.01, 0.9, nesterov=True),
    "sgd{weight_decay=0.1}": pock.SGD(0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("text", SAME)
def test_text_means_what_python_means(text: str) -> None:
    assert parse_optimizer(text) == SAME[text]
    assert parse_optimizer(optimizer_text(SAME[text])) == SAME[text]


def test_every_optimizer_has_a_name() -> None:
    assert DEFAULTS.keys() == RULES.keys() == OPTIONS.keys()
    for name, optimizer in DEFAULTS.items():
        assert parse_optimizer(name) == optimizer and optimizer.to_pass().optimizer == name
    assert default_optimizer(object()) == parse_optimizer("sgd")


WRONG = {
    "nix": "no optimizer is called 'nix'",
    "adam,sgd": "no optimizer is called",
    "sgd{momentum=0.9}": "optimizer sgd has no option 'momentum'",
    "lion{eps=1}": "optimizer lion has no option 'eps'",
    "adam{optimizer=lion}": "optimizer adam has no option 'optimizer'",
    "adam{lr=fast}": "lr should be a number",
    "adam{lr=1,2}": "lr should be a number",
    "adam{beta1=fast}": "option beta1 should be a number",
    "adam{beta1=2}": "betas.0. should be at least 0 and below 1",
    "adam{": "column 6",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_text(text: str) -> None:
    with pytest.raises(PockError, match=WRONG[text]):
        parse_optimizer(text)
