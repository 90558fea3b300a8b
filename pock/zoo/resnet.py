"""Residual networks (He et al., CVPR 2016): ResNet-18 and -50, and ResNet-20 for CIFAR.

ResNet-18 and -50 follow torchvision: same parameter names, stride on the 3x3 convolution of a
bottleneck.  ResNet-20 follows section 4.2 of the paper with option A: a shortcut without
parameters that takes every second pixel and pads channels with zeros on both sides; its names
are those of github.com/akamaster/pytorch_resnet_cifar10 without the prefix `module.`.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def _conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def _conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: f32[N, I, H, W] -> f32[N, width, H/stride, W/stride]."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut: f32[N, I, H, W] -> f32[N, 4*width, H/stride, W/stride]."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = _conv1x1(inputs, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv1x1(width, width * self.expansion)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet(nn.Module):
    """A residual network for large pictures: f32[N, 3, H, W] -> logits f32[N, classes].

    `blocks` counts the blocks of the four stages, at 1/4, 1/8, 1/16 and 1/32 of the input's side.
    """

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], blocks: tuple[int, ...], classes: int
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(block, 64, 64, blocks[0], 1)
        self.layer2 = _stage(block, 64 * block.expansion, 128, blocks[1], 2)
        self.layer3 = _stage(block, 128 * block.expansion, 256, blocks[2], 2)
        self.layer4 = _stage(block, 256 * block.expansion, 512, blocks[3], 2)
        self.fc = nn.Linear(512 * block.expansion, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, count: int, stride: int
) -> nn.Sequential:
    outputs = width * block.expansion
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(_conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
    rest = [block(outputs, width, 1, None) for _ in range(1, count)]
    return nn.Sequential(block(inputs, width, stride, downsample), *rest)


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters.

    f32[N, I, H, W] -> f32[N, width, H/stride, W/stride]; width is I, or 2*I with stride 2.
    """

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.stride = stride
        self.new_channels = width - inputs
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.new_channels == 0:
            return x
        before = self.new_channels // 2
        strided = x[:, :, :: self.stride, :: self.stride]
        return F.pad(strided, (0, 0, 0, 0, before, self.new_channels - before))


class CifarResNet(nn.Module):
    """Three stages of 16, 32 and 64 channels: f32[N, 3, 32, 32] -> logits f32[N, classes].

    `blocks` blocks in each stage make 6 * blocks + 2 layers.
    """

    def __init__(self, blocks: int, classes: int):
        super().__init__()
        self.conv1 = _conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _cifar_stage(16, 16, blocks, 1)
        self.layer2 = _cifar_stage(16, 32, blocks, 2)
        self.layer3 = _cifar_stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def _cifar_stage(inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    rest = [CifarBlock(width, width, 1) for _ in range(1, count)]
    return nn.Sequential(CifarBlock(inputs, width, stride), *rest)


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def resnet18(classes: int = 1000) -> ResNet:
    """ResNet-18, 11,689,512 parameters with 1,000 classes: f32[N, 3, H, W] -> f32[N, classes]."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes)


def resnet50(classes: int = 1000) -> ResNet:
    """ResNet-50, 25,557,032 parameters with 1,000 classes: f32[N, 3, H, W] -> f32[N, classes]."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes)


def resnet20_cifar(classes: int = 10) -> CifarResNet:
    """ResNet-20, 269,722 parameters with 10 classes: f32[N, 3, 32, 32] -> f32[N, classes]."""
    return CifarResNet(3, classes)
