"""Multilayer perceptrons: the smallest models worth training."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them, none after the last.

    f32[N, sizes[0]] -> f32[N, sizes[-1]].  Parameters: layers.0.weight, layers.0.bias, ...
    """

    def __init__(self, sizes: Sequence[int]):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)


def mlp(*sizes: int) -> MLP:
    """An MLP with these layer widths, inputs first: f32[N, sizes[0]] -> f32[N, sizes[-1]].

    Raises ValueError with fewer than two widths.
    """
    if len(sizes) < 2:
        raise ValueError(f"an MLP needs at least an input and an output width, got {sizes}")
    return MLP(sizes)


def digits_mlp() -> MLP:
    """For 8x8 grey digits, 10 classes: f32[N, 64] -> logits f32[N, 10], 4,810 parameters."""
    return mlp(64, 64, 10)


def mnist_mlp() -> MLP:
    """For 28x28 grey digits, 10 classes: f32[N, 784] -> logits f32[N, 10], 235,146 parameters."""
    return mlp(784, 256, 128, 10)
