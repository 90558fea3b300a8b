"""Optimizer updates in numpy, by pock's formulas, for trainings that programs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer
from pock_ir.types import Array

Arrays = Mapping[str, Array]
Update = Callable[[Arrays, Arrays], dict[str, Array]]
"""(gradients, parameters) -> new parameters; it keeps its own state."""


def make_update(optimizer: Optimizer) -> Update:
    """The updates of `optimizer`, from its first step on, in the precision of the parameters."""
    rule = {SGD: _Sgd, Adam: _Adam, AdamW: _Adam, Lion: _Lion}[type(optimizer)](optimizer)

    def update(gradients: Arrays, params: Arrays) -> dict[str, Array]:
        rule.steps += 1
        return {name: rule.one(name, gradients[name], w) for name, w in params.items()}

    return update


class _Sgd:
    def __init__(self, options: SGD) -> None:
        self._options = options
        self._velocity: dict[str, Array] = {}
        self.steps = 0

    def one(self, name: str, g: Array, w: Array) -> Array:
        o = self._options
        g = g + o.weight_decay * w
        if o.momentum:
            before = self._velocity.get(name)
            heavy = g if before is None else o.momentum * before + (1.0 - o.dampening) * g
            self._velocity[name] = heavy
            g = g + o.momentum * heavy if o.nesterov else heavy
        return w - o.lr * g


class _Adam:
    def __init__(self, options: Adam) -> None:
        self._options = options
        self._first: dict[str, Array] = {}
        self._second: dict[str, Array] = {}
        self.steps = 0

    def one(self, name: str, g: Array, w: Array) -> Array:
        o = self._options
        beta1, beta2 = o.betas
        if isinstance(o, AdamW):
            w = w - w * (o.lr * o.weight_decay)
        else:
            g = g + o.weight_decay * w
        zero = np.zeros_like(g)
        m = self._first.get(name, zero) * beta1 + (1.0 - beta1) * g
        v = self._second.get(name, zero) * beta2 + (1.0 - beta2) * g * g
        self._first[name], self._second[name] = m, v
        correction1, correction2 = 1.0 - beta1**self.steps, (1.0 - beta2**self.steps) ** 0.5
        if o.eps_before_correction:
            return w - (o.lr * correction2 / correction1) * (m / (np.sqrt(v) + o.eps))
        return w - (o.lr / correction1) * (m / (np.sqrt(v) / correction2 + o.eps))


class _Lion:
    def __init__(self, options: Lion) -> None:
        self._options = options
        self._momentum: dict[str, Array] = {}
        self.steps = 0

    def one(self, name: str, g: Array, w: Array) -> Array:
        o = self._options
        m = self._momentum.get(name, np.zeros_like(g))
        step = np.sign(m + (1.0 - o.betas[0]) * (g - m))
        self._momentum[name] = m + (1.0 - o.betas[1]) * (g - m)
        return w - o.lr * (step + o.weight_decay * w)
