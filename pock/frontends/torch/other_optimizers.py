"""Optimizers that PyTorch does not have, in its form, as references to verify with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pock_ir.passes.optimizer import Adam, AdamW, Lion


class EarlyEpsAdam(torch.optim.Optimizer):
    """Adam or AdamW that adds eps before the bias of the second moment is corrected, as Keras."""

    def __init__(self, parameters: list[Tensor], options: Adam) -> None:
        super().__init__(parameters, {})
        self._options = options
        self._count = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - without a closure
        del closure
        options, (beta1, beta2) = self._options, self._options.betas
        self._count += 1
        factor = (1 - beta2**self._count) ** 0.5 / (1 - beta1**self._count)
        for w, g, state in _trained(self):
            if isinstance(options, AdamW):
                w.mul_(1 - options.lr * options.weight_decay)
            else:
                g = g + options.weight_decay * w
            m, v = (state.setdefault(name, torch.zeros_like(w)) for name in ("m", "v"))
            m.lerp_(g, 1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            w.sub_(options.lr * factor * m / (v.sqrt() + options.eps))


class SignedMomentum(torch.optim.Optimizer):
    """Lion: the sign of the interpolated momentum, with decoupled weight decay."""

    def __init__(self, parameters: list[Tensor], options: Lion) -> None:
        super().__init__(parameters, {})
        self._options = options

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - without a closure
        del closure
        options, (beta1, beta2) = self._options, self._options.betas
        for w, g, state in _trained(self):
            m = state.setdefault("m", torch.zeros_like(w))
            direction = m.lerp(g, 1 - beta1).sign()
            w.sub_(options.lr * (direction + options.weight_decay * w))
            m.lerp_(g, 1 - beta2)


def _trained(optimizer: torch.optim.Optimizer) -> list[tuple[Tensor, Tensor, dict[str, Tensor]]]:
    """Each parameter that has a gradient, the gradient, and its state."""
    parameters: list[Tensor] = optimizer.param_groups[0]["params"]
    return [(w, w.grad, optimizer.state[w]) for w in parameters if w.grad is not None]
