"""Optimizer updates in JAX: pock's formulas (those of torch.optim), or an optax transformation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion

Arrays = Mapping[str, Any]
Update = Callable[[Arrays, Arrays], dict[str, Any]]
"""(gradients, parameters) -> new parameters; it keeps its own state."""


def make_update(optimizer: Any, params: Arrays) -> Update:
    """The updates of `optimizer`, from its first step on."""
    if isinstance(optimizer, SGD):
        return _sgd(optimizer)
    if isinstance(optimizer, Adam):
        return _adam(optimizer)
    if isinstance(optimizer, Lion):
        return _lion(optimizer)
    return _optax(optimizer, params)


def _optax(optimizer: Any, params: Arrays) -> Update:
    held = [optimizer.init(dict(params))]

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        # Gradients of the parts that are trained have the parts' names, as the state has.
        changes, held[0] = optimizer.update(dict(gradients), held[0], dict(params))
        return {name: value + changes[name] for name, value in params.items()}

    return update


def _sgd(options: SGD) -> Update:
    velocity: dict[str, Any] = {}

    def direction(name: str, gradient: Any) -> Any:
        if not options.momentum:
            return gradient
        before = velocity.get(name)
        share = gradient * (1.0 - options.dampening)
        velocity[name] = gradient if before is None else before * options.momentum + share
        heavy = velocity[name]
        return gradient + heavy * options.momentum if options.nesterov else heavy

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        return {
            name: value
            - options.lr * direction(name, gradients[name] + options.weight_decay * value)
            for name, value in params.items()
        }

    return update


def _adam(options: Adam) -> Update:
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    steps = [0]
    beta1, beta2 = options.betas
    decoupled = isinstance(options, AdamW)

    def one(name: str, gradient: Any, value: Any) -> Any:
        if decoupled:
            value = value * (1.0 - options.lr * options.weight_decay)
        else:
            gradient = gradient + options.weight_decay * value
        first[name] = first.get(name, 0.0) * beta1 + (1.0 - beta1) * gradient
        second[name] = second.get(name, 0.0) * beta2 + (1.0 - beta2) * gradient * gradient
        correction = (1.0 - beta2 ** steps[0]) ** 0.5
        early, late = (options.eps, 0.0) if options.eps_before_correction else (0.0, options.eps)
        scale = (jnp.sqrt(second[name]) + early) / correction + late
        return value - (options.lr / (1.0 - beta1 ** steps[0])) * (first[name] / scale)

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        steps[0] += 1
        return {name: one(name, gradients[name], value) for name, value in params.items()}

    return update


def _lion(options: Lion) -> Update:
    momentum: dict[str, Any] = {}
    beta1, beta2 = options.betas

    def one(name: str, gradient: Any, value: Any) -> Any:
        before = momentum.get(name, jnp.zeros_like(value))
        momentum[name] = beta2 * before + (1.0 - beta2) * gradient
        direction = jnp.sign(beta1 * before + (1.0 - beta1) * gradient)
        return value - options.lr * (direction + options.weight_decay * value)

    def update(gradients: Arrays, params: Arrays) -> dict[str, Any]:
        return {name: one(name, gradients[name], value) for name, value in params.items()}

    return update
