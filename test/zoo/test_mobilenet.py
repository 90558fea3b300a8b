import pytest

torch = pytest.importorskip("torch")

from pock.zoo import mobilenet  # noqa: E402


# 3,504,872 is torchvision's own count; 1,677,128 that of its width 0.35.
@pytest.mark.parametrize("width, count", [(1.0, 3_504_872), (0.35, 1_677_128)])
def test_parameter_count(width, count):
    model = mobilenet.mobilenet_v2(width=width)
    assert sum(p.numel() for p in model.parameters()) == count


def test_names_and_shapes_are_those_of_torchvision():
    state = mobilenet.mobilenet_v2().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert len(shapes) == 314
    assert shapes["features.0.0.weight"] == (32, 3, 3, 3)
    assert shapes["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert shapes["features.1.conv.1.weight"] == (16, 32, 1, 1)
    assert shapes["features.2.conv.1.1.running_mean"] == (96,)
    assert shapes["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert shapes["features.17.conv.3.bias"] == (320,)
    assert shapes["features.18.0.weight"] == (1280, 320, 1, 1)
    assert shapes["classifier.1.weight"] == (1000, 1280)


@pytest.mark.parametrize(
    "channels, rounded", [(11.2, 16), (8.4, 8), (33.6, 32), (112.0, 112), (1.0, 8)]
)
def test_make_divisible_keeps_nine_tenths(channels, rounded):
    assert mobilenet.make_divisible(channels) == rounded


def test_forward_and_backward():
    model = mobilenet.mobilenet_v2(classes=5, width=0.35)
    logits = model(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
