import pytest

torch = pytest.importorskip("torch")

from pock.zoo import resnet  # noqa: E402


# The first two are torchvision's counts, the last that of section 4.2 of the paper (0.27 M).
@pytest.mark.parametrize(
    "make, count",
    [
        (resnet.resnet18, 11_689_512),
        (resnet.resnet50, 25_557_032),
        (resnet.resnet20_cifar, 269_722),
    ],
)
def test_parameter_count(make, count):
    assert sum(p.numel() for p in make().parameters()) == count


def test_names_and_shapes_are_those_of_torchvision():
    shapes = {name: tuple(value.shape) for name, value in resnet.resnet50().state_dict().items()}
    assert len(shapes) == 320
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer2.0.downsample.1.running_var"] == (512,)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["fc.bias"] == (1000,)
    assert "layer1.0.downsample.0.weight" not in resnet.resnet18().state_dict()


@pytest.mark.parametrize(
    "make, side", [(resnet.resnet18, 64), (resnet.resnet50, 64), (resnet.resnet20_cifar, 32)]
)
def test_forward_and_backward(make, side):
    model = make(classes=3)
    logits = model(torch.zeros(2, 3, side, side))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_cifar_shortcut_takes_every_second_pixel_and_pads_channels():
    block = resnet.CifarBlock(2, 4, 2)
    x = torch.arange(32.0).view(1, 2, 4, 4)
    shortcut = block._shortcut(x)
    assert shortcut.shape == (1, 4, 2, 2)
    assert torch.equal(shortcut[:, 1:3], x[:, :, ::2, ::2])
    assert not shortcut[:, 0].any() and not shortcut[:, 3].any()
