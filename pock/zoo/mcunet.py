"""The three inverted-residual nets for microcontrollers that Tiny Training Engine trains.

MCUNet-5fps, MobileNetV2 at width 0.35 and ProxylessNAS at width 0.3 (arXiv 2206.15472, released
code), written as block specifications.  Input 128x128x3; first convolution 3->16, 3x3, stride 2.
One block is `<middle>-<out>k<kernel>s<stride>`, with `r` at the end where a residual is added:
a 1x1 convolution to `middle` channels (absent in the first block), a depthwise kernel x kernel
convolution, a 1x1 convolution to `out` channels.  The side of an output is ceil(side / stride).
Unlike the int8 originals, these are float nets with batch norm, to be trained or quantised.
"""

import re
from dataclasses import dataclass

from torch import Tensor, nn

MCUNET_5FPS = """
    16-8k3s1 32-16k3s2 48-16k3s1r 48-24k7s2 120-24k3s1r 120-40k3s2 160-40k7s1r 160-48k5s1
    144-48k3s1r 192-48k3s1r 240-96k7s2 384-96k5s1r 384-96k5s1r 576-160k3s1
"""
MBV2_W035 = """
    16-8k3s1 48-8k3s2 48-8k3s1r 48-16k3s2 96-16k3s1r 96-16k3s1r 96-24k3s2 144-24k3s1r 144-24k3s1r
    144-24k3s1r 144-32k3s1 192-32k3s1r 192-32k3s1r 192-56k3s2 336-56k3s1r 336-56k3s1r 336-112k3s1
"""
PROXYLESS_W03 = """
    16-8k3s1 24-16k5s2 48-16k3s1r 48-16k7s2 48-16k3s1r 48-16k5s1r 48-16k5s1r 96-24k7s2 72-24k5s1r
    72-24k5s1r 72-24k5s1r 144-32k5s1 96-32k5s1r 96-32k5s1r 96-32k5s1r 192-64k7s2 384-64k7s1r
    192-64k7s1r 192-64k7s1r 384-96k7s1
"""

STEM_CHANNELS = 16
_BLOCK = re.compile(r"(\d+)-(\d+)k(\d+)s(\d+)(r?)")


@dataclass(frozen=True)
class BlockSpec:
    """One inverted residual block; kernel is the side of the depthwise kernel."""

    middle: int
    outputs: int
    kernel: int
    stride: int
    residual: bool


def parse_blocks(text: str) -> tuple[BlockSpec, ...]:
    """Read a block specification, blocks separated by white space.

    Raises ValueError if a word is not a block.
    """
    blocks = []
    for word in text.split():
        match = _BLOCK.fullmatch(word)
        if match is None:
            raise ValueError(f"not a block such as '48-16k3s1r': {word!r}")
        middle, outputs, kernel, stride = map(int, match.groups()[:4])
        blocks.append(BlockSpec(middle, outputs, kernel, stride, match[5] == "r"))
    return tuple(blocks)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, unless `linear`, ReLU6.

    f32[N, I, H, W] -> f32[N, O, ceil(H/stride), ceil(W/stride)].
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ):
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.Identity() if linear else nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))


class InvertedResidual(nn.Module):
    """One block: pw1 (absent if `expands` is false), dw, pw2 (linear), residual if specified.

    f32[N, inputs, H, W] -> f32[N, spec.outputs, ceil(H/stride), ceil(W/stride)].
    """

    def __init__(self, inputs: int, spec: BlockSpec, expands: bool):
        super().__init__()
        self.residual = spec.residual
        self.pw1 = ConvNorm(inputs, spec.middle, 1) if expands else nn.Identity()
        self.dw = ConvNorm(spec.middle, spec.middle, spec.kernel, spec.stride, groups=spec.middle)
        self.pw2 = ConvNorm(spec.middle, spec.outputs, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pw2(self.dw(self.pw1(x)))
        return x + y if self.residual else y


class InvertedResidualNet(nn.Module):
    """Stem, blocks, global average, classifier: f32[N, 3, H, W] -> logits f32[N, classes].

    `blocks` is in order of execution; blocks[0] is block 1 of the publications.
    """

    def __init__(self, specs: tuple[BlockSpec, ...], classes: int):
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList()
        inputs = STEM_CHANNELS
        for position, spec in enumerate(specs):
            self.blocks.append(InvertedResidual(inputs, spec, expands=position > 0))
            inputs = spec.outputs
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean((2, 3)))


def mcunet_5fps(classes: int = 1000) -> InvertedResidualNet:
    """MCUNet-5fps, 14 blocks: f32[N, 3, 128, 128] -> logits f32[N, classes]."""
    return InvertedResidualNet(parse_blocks(MCUNET_5FPS), classes)


def mbv2_w035(classes: int = 1000) -> InvertedResidualNet:
    """MobileNetV2-w0.35 without its 1,280-channel layer, 17 blocks.

    f32[N, 3, 128, 128] -> logits f32[N, classes].
    """
    return InvertedResidualNet(parse_blocks(MBV2_W035), classes)


def proxyless_w03(classes: int = 1000) -> InvertedResidualNet:
    """ProxylessNAS-w0.3, 20 blocks: f32[N, 3, 128, 128] -> logits f32[N, classes]."""
    return InvertedResidualNet(parse_blocks(PROXYLESS_W03), classes)
