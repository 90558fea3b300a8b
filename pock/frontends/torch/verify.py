"""The training of a job in PyTorch, to compare a compiled program with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from pock.frontends.torch.arguments import to_numpy
from pock.frontends.torch.loss import Loss
from pock.frontends.torch.oracle import ReferenceTraining
from pock.reference import Setup
from pock_ir.types import Array


class TorchReference:
    """See `pock.reference.Reference`. The model is called, and never changed."""

    def __init__(self, model: Any, inputs: Any, targets: Any, loss: Loss) -> None:
        is_exported = isinstance(model, ExportedProgram)
        self._model: nn.Module = model.module() if is_exported else model
        self._loss = loss
        self._leaves, self._tree = pytree.tree_flatten((inputs, targets))

    def batch(self) -> list[Array]:
        return [to_numpy(leaf) for leaf in self._leaves if isinstance(leaf, Tensor)]

    def training(self, setup: Setup, double: bool, weights: Mapping[str, Array]) -> TorchTraining:
        names = (name for name, _ in self._model.named_parameters())
        stored = {name: setup.aliases.get(name, name) for name in names}
        run = ReferenceTraining(
            self._model,
            self._loss,
            setup.optimizer,
            dtype=torch.float64 if double else torch.float32,
            trainable=setup.parts,
            weights={n: from_numpy(weights[key]) for n, key in stored.items() if key in weights},
            seed=setup.seed,
        )
        return TorchTraining(run, self._leaves, self._tree)


class TorchTraining:
    """See `pock.reference.Training`. leaves, tree: the example inputs and targets, flattened."""

    def __init__(
        self, run: ReferenceTraining, leaves: Sequence[Any], tree: pytree.TreeSpec
    ) -> None:
        self._run = run
        self._leaves = leaves
        self._tree = tree

    def backward(self, batch: Sequence[Array]) -> float:
        arrays = iter(batch)
        leaves = [
            from_numpy(next(arrays)) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves
        ]
        return self._run.backward(*pytree.tree_unflatten(leaves, self._tree))

    def gradients(self) -> Mapping[str, Array]:
        return self._run.gradients()

    def update(self, replaced: Mapping[str, Array]) -> None:
        self._run.update(replaced)

    def updated(self) -> Mapping[str, Array]:
        return self._run.updated()


def from_numpy(array: Array) -> Tensor:
    """A tensor with a copy of the data; the inverse of `to_numpy`."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))
