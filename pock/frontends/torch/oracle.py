"""Training in PyTorch with pock's meaning of every choice, to compare a compiled program with.

What pock fixes is reproduced here: which parameters train, and which part of them; the formulas of
the optimizers (PyTorch's, without fused or vectorised variants); and dropout. PyTorch draws dropout
masks from a generator whose state no other program can follow, so here they come from pock's
counter: the n-th dropout (attention's included) takes stream n, in the order in which forward runs,
which is the order of the exported graph.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from pock.frontends.torch.arguments import to_numpy
from pock.frontends.torch.loss import LOGITS, LOSSES, Loss
from pock.frontends.torch.ops.dropout import drop_probability
from pock.frontends.torch.other_optimizers import EarlyEpsAdam, SignedMomentum
from pock.reference import Part
from pock_ir.dialects.dropout import FRACTION_BITS, keep_mask, uniform_bits
from pock_ir.passes.optimizer import SGD, Adam, AdamW, Lion, Optimizer
from pock_ir.types import Array

Batch = tuple[Any, Any]
"""(inputs, targets): inputs are a tuple of arguments or a mapping of keywords."""


@dataclass(frozen=True)
class ReferenceStep:
    """One step of training.

    loss: before the update. gradients: of each trained parameter, or of its trained part.
    updated: every trained parameter (whole) and every buffer after the step. All by framework
    name, tied tensors under their first name, in the framework's layout.
    """

    loss: float
    gradients: dict[str, Array]
    updated: dict[str, Array]


class MatchedDropout(TorchDispatchMode):
    """While active, dropout and attention dropout use pock's masks for `seed` and `step`.

    On a CPU both fill a tensor from the Bernoulli distribution, one number for each element or
    each attention probability in row-major order; that is where the masks are put in. Stochastic
    depth does so too, or rounds uniform numbers down, which are replaced by those of the masks.
    """

    def __init__(self, seed: int, step: int) -> None:
        super().__init__()
        self._seed = np.array(seed, np.int32)
        self._step = np.array(step, np.int32)
        self._stream = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.bernoulli_.float:
            return self._masked(*args)
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.rand.default:
            bits = uniform_bits(tuple(result.shape), self._seed, self._step, self._next())
            result.copy_(torch.from_numpy(bits * 2.0**-FRACTION_BITS))
        return result

    def _masked(self, noise: Tensor, kept: float = 0.5) -> Tensor:
        """`noise` filled with 1 where an element is kept, else with 0."""
        dropped = drop_probability(kept)
        if dropped in (0.0, 1.0):
            return noise.fill_(1.0 - dropped)
        keep = keep_mask(tuple(noise.shape), self._seed, self._step, dropped, self._next())
        return noise.copy_(torch.from_numpy(keep))

    def _next(self) -> int:
        """The number of the next stream."""
        self._stream += 1
        return self._stream - 1


def train_reference(
    model: nn.Module,
    loss: Loss,
    optimizer: Optimizer,
    batches: Sequence[Batch],
    steps: int,
    *,
    dtype: torch.dtype = torch.float32,
    trainable: Mapping[str, Part | None] | None = None,
    seed: int = 0,
    rates: Sequence[float] | None = None,
) -> list[ReferenceStep]:
    """Train a copy of `model` for `steps` steps; batch i is batches[i % len(batches)].

    rates: the learning rate of each step, by default the optimizer's; the rest as for
    `ReferenceTraining`.
    """
    training = ReferenceTraining(
        model, loss, optimizer, dtype=dtype, trainable=trainable, seed=seed
    )
    history: list[ReferenceStep] = []
    for step in range(steps):
        if rates is not None:
            training.rate = rates[step]
        value = training.backward(*batches[step % len(batches)])
        gradients = _copies(training.gradients())
        training.update()
        history.append(ReferenceStep(value, gradients, _copies(training.updated())))
    return history


def _copies(views: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.copy() for name, value in views.items()}


class ReferenceTraining:
    """A training of `model`, which is only called: call `backward`, then `update`, once per step.

    Arrays that it returns are views of its own memory where that is possible.

    dtype: of all float parameters, buffers and inputs; float64 gives the exact trajectory that
        rounding errors are judged by.
    trainable: framework name -> None (all of it) or the trained part; None: every parameter that
        requires a gradient. A part has optimizer state of its own, as in pock.
    weights: other values for some parameters, by framework name.
    seed: of dropout.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: Optimizer,
        *,
        dtype: torch.dtype = torch.float32,
        trainable: Mapping[str, Part | None] | None = None,
        weights: Mapping[str, Tensor] | None = None,
        seed: int = 0,
    ) -> None:
        self._state = _State(model, loss, trainable, weights or {}, dtype)
        self._optimizer = make_optimizer(optimizer, list(self._state.leaves.values()))
        self._seed = seed
        self._steps = 0

    @property
    def rate(self) -> float:
        return self._optimizer.param_groups[0]["lr"]

    @rate.setter
    def rate(self, rate: float) -> None:
        self._optimizer.param_groups[0]["lr"] = rate

    def backward(self, inputs: Any, targets: Any) -> float:
        """Forward and backward on one batch; returns the loss. Buffers are updated."""
        self._optimizer.zero_grad()
        with MatchedDropout(self._seed, self._steps):
            value = self._state.loss(inputs, targets)
        value.backward()
        self._steps += 1
        return float(value.detach())

    def gradients(self) -> dict[str, Array]:
        """The last gradient of each trained parameter, or of its trained part."""
        return {name: _gradient(leaf) for name, leaf in self._state.leaves.items()}

    def update(self, replaced: Mapping[str, Array] | None = None) -> None:
        """Step the optimizer; the gradients of the parameters in `replaced` are those instead.

        Gradients are gone afterwards.
        """
        for name, gradient in (replaced or {}).items():
            leaf = self._state.leaves[name]
            leaf.grad = torch.from_numpy(gradient).to(leaf.dtype)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def updated(self) -> dict[str, Array]:
        """Trained parameters (whole) and all buffers as they are now."""
        return self._state.updated()


def _gradient(leaf: Tensor) -> Array:
    return _view(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)


def _view(value: Tensor) -> Array:
    """The data of a tensor, without a copy if numpy has its dtype."""
    return to_numpy(value) if value.dtype == torch.bfloat16 else value.detach().cpu().numpy()


def make_optimizer(optimizer: Optimizer, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """The PyTorch optimizer that `optimizer` describes, in its plain (for-loop) form."""
    if isinstance(optimizer, Lion):
        return SignedMomentum(parameters, optimizer)
    if isinstance(optimizer, Adam) and optimizer.eps_before_correction:
        return EarlyEpsAdam(parameters, optimizer)
    shared: dict[str, Any] = {"lr": optimizer.lr, "weight_decay": optimizer.weight_decay}
    if isinstance(optimizer, SGD):
        extra = {key: getattr(optimizer, key) for key in ("momentum", "dampening", "nesterov")}
        return torch.optim.SGD(parameters, **shared, **extra, foreach=False)
    kind = torch.optim.AdamW if isinstance(optimizer, AdamW) else torch.optim.Adam
    return kind(
        parameters, **shared, betas=optimizer.betas, eps=optimizer.eps, foreach=False, fused=False
    )


class _State:
    """The tensors of a training run, apart from the user's model, which is only called."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        trainable: Mapping[str, Part | None] | None,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype,
    ) -> None:
        self._model = model
        function = LOSSES[loss] if isinstance(loss, str) else loss
        is_module = isinstance(function, nn.Module)
        self._loss = copy.deepcopy(function).to(dtype) if is_module else function
        self._takes_logits = isinstance(loss, str | nn.Module)
        self._dtype = dtype
        named = dict(model.named_parameters())
        default = {name: None for name, value in named.items() if value.requires_grad}
        self._parts = default if trainable is None else dict(trainable)
        self.leaves = {n: self._leaf(n, weights.get(n, named[n])) for n in self._parts}
        # What trains as a whole is nowhere but in its leaf: large models would not fit twice.
        rest = named.keys() - {name for name, part in self._parts.items() if part is None}
        self._parameters = {n: self._cast(weights.get(n, named[n]).detach()) for n in rest}
        self._buffers = {n: self._cast(value.clone()) for n, value in model.named_buffers()}

    def _leaf(self, name: str, value: Tensor) -> Tensor:
        """The tensor that the optimizer updates."""
        part = self._parts[name]
        chosen = value if part is None else value.index_select(part[0], torch.tensor(part[1]))
        return chosen.detach().to(self._dtype, copy=True).requires_grad_()

    def _tensors(self) -> dict[str, Tensor]:
        """The parameters as the model sees them, with their trained parts in place."""
        return self._parameters | {name: self._whole(name) for name in self.leaves}

    def _whole(self, name: str) -> Tensor:
        leaf, part = self.leaves[name], self._parts[name]
        if part is None:
            return leaf
        return self._parameters[name].index_copy(part[0], torch.tensor(part[1]), leaf)

    def loss(self, inputs: Any, targets: Any) -> Tensor:
        """Forward and loss; buffers are updated in place by the model."""
        args, kwargs = ((), inputs) if isinstance(inputs, Mapping) else (inputs, {})
        args, kwargs = self._cast(tuple(args)), self._cast(dict(kwargs))
        outputs = functional_call(self._model, self._tensors() | self._buffers, args, kwargs)
        return self._loss(self._chosen(outputs), self._cast(targets))

    def _cast(self, tree: Any) -> Any:
        def convert(value: Any) -> Any:
            is_float = isinstance(value, Tensor) and value.dtype.is_floating_point
            return value.to(self._dtype) if is_float else value

        return pytree.tree_map(convert, tree)

    def _chosen(self, outputs: Any) -> Any:
        """The logits for a loss by name or module, everything for a function."""
        if not self._takes_logits:
            return outputs
        if isinstance(outputs, Mapping) and LOGITS in outputs:
            return outputs[LOGITS]
        return pytree.tree_leaves(outputs)[0]

    def updated(self) -> dict[str, Array]:
        """Trained parameters and all buffers as they are now."""
        trained = {name: _view(self._whole(name)) for name in self.leaves}
        return trained | {name: _view(value) for name, value in self._buffers.items()}
