"""MobileNetV2 (Sandler et al., CVPR 2018) with torchvision's layout and parameter names.

A state_dict saved by torchvision's `mobilenet_v2` of the same width loads with strict=True.
"""

from torch import Tensor, nn

# (expansion, channels out at width 1, blocks, stride of the first block)
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, but at least `divisor`, and one more
    where rounding down would lose over 10 %.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def _conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand (absent where expansion is 1), depthwise 3x3, project; residual where it fits.

    f32[N, I, H, W] -> f32[N, O, ceil(H/stride), ceil(W/stride)].
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        expand = [] if expansion == 1 else [_conv_norm(inputs, middle, 1)]
        self.conv = nn.Sequential(
            *expand,
            _conv_norm(middle, middle, 3, stride, groups=middle),
            nn.Conv2d(middle, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2: 3,504,872 parameters at width 1 with 1,000 classes.

    f32[N, 3, H, W] -> logits f32[N, classes].  The last convolution has max(1280, 1280 * width)
    channels, as in torchvision.
    """

    def __init__(self, classes: int = 1000, width: float = 1.0, dropout: float = 0.2):
        super().__init__()
        inputs = make_divisible(32 * width)
        last = make_divisible(1280 * max(1.0, width))
        features: list[nn.Module] = [_conv_norm(3, inputs, 3, 2)]
        for expansion, channels, blocks, stride in STAGES:
            outputs = make_divisible(channels * width)
            for block in range(blocks):
                first = stride if block == 0 else 1
                features.append(InvertedResidual(inputs, outputs, first, expansion))
                inputs = outputs
        features.append(_conv_norm(inputs, last, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, classes))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2(classes: int = 1000, width: float = 1.0, dropout: float = 0.2) -> MobileNetV2:
    """MobileNetV2 with random weights: f32[N, 3, H, W] -> logits f32[N, classes].

    `width` scales every layer but the classifier's input, which never falls below 1,280 channels.
    """
    return MobileNetV2(classes, width, dropout)


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)
