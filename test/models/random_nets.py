"""Random conv nets: any kernel, stride, padding, dilation, groups, pooling and shortcut."""

from __future__ import annotations

from random import Random

import torch
from torch import nn

from pock.compiler import Job

CLASSES = 4
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.Tanh, nn.Identity)


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


class NetMaker:
    """Builds layers one after the other, keeping the shape of the picture.

    Stops shrinking where the next kernel would not fit.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.channels = self.random.choice((1, 3, 4))
        self.shape = [self.random.randint(9, 17), self.random.randint(9, 17)]
        self.input_shape = (self.channels, *self.shape)
        self.layers: list[nn.Module] = []

    def convolution(self) -> None:
        pick = self.random.choice
        kernel = [pick((1, 1, 2, 3, 3, 5)) for _ in range(2)]
        dilation = [pick((1, 1, 2)) for _ in range(2)]
        stride = [pick((1, 1, 2, 3)) for _ in range(2)]
        padding = [self.random.randint(0, k - 1) if k > 1 else 0 for k in kernel]
        shape = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(self.shape, kernel, stride, padding, dilation, strict=True)
        ]
        if min(shape) < 2:
            return
        groups = pick([g for g in (1, 2, 3, self.channels) if self.channels % g == 0])
        outputs = groups * pick((1, 2, 3))
        self.layers.append(
            nn.Conv2d(
                self.channels,
                outputs,
                tuple(kernel),
                tuple(stride),
                tuple(padding),
                tuple(dilation),
                groups,
                pick((True, False)),
            )
        )
        self.channels, self.shape = outputs, shape

    def pooling(self) -> None:
        if min(self.shape) < 4:
            return
        kernel, stride = self.random.choice(((2, 2), (3, 2), (3, 1)))
        padding = self.random.randint(0, kernel // 2)
        kind = self.random.choice((nn.MaxPool2d, nn.AvgPool2d))
        self.layers.append(kind(kernel, stride, padding))
        self.shape = [(n + 2 * padding - kernel) // stride + 1 for n in self.shape]

    def pointwise(self) -> None:
        if self.random.random() < 0.6:
            self.layers.append(nn.BatchNorm2d(self.channels))
        self.layers.append(self.random.choice(ACTIVATIONS)())

    def residual(self) -> None:
        kernel = self.random.choice((1, 3, 5))
        groups = self.random.choice((1, self.channels))
        inner = nn.Conv2d(self.channels, self.channels, kernel, padding=kernel // 2, groups=groups)
        self.layers.append(Residual(nn.Sequential(inner, nn.Tanh())))

    def make(self, size: int) -> nn.Module:
        for _ in range(size):
            step = self.random.choice(
                (self.convolution, self.convolution, self.pooling, self.residual)
            )
            step()
            self.pointwise()
        values = self.channels * self.shape[0] * self.shape[1]
        return nn.Sequential(*self.layers, nn.Flatten(), nn.Linear(values, CLASSES))


def random_job(seed: int, size: int = 3) -> Job:
    """A job with a random net of about `size` layers, in training mode."""
    torch.manual_seed(seed)
    maker = NetMaker(seed)
    model = maker.make(size).train()
    x = torch.randn(3, *maker.input_shape)
    return Job(model, (x,), torch.arange(3) % CLASSES, name="net")
