from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from pock.zoo import mcunet  # noqa: E402

# Convolution and classifier weights of the released int8 models, and their number of blocks.
NETS = [
    (mcunet.mcunet_5fps, 14, 623_216),
    (mcunet.mbv2_w035, 17, 350_688),
    (mcunet.proxyless_w03, 20, 416_816),
]


@pytest.mark.parametrize("make, blocks, weights", NETS)
def test_sizes_are_those_of_the_released_models(make, blocks, weights):
    model = make()
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(model.blocks) == blocks
    assert sum(layer.weight.numel() for layer in layers) == weights


@pytest.mark.parametrize("make", [make for make, _, _ in NETS])
def test_forward_and_backward(make):
    model = make(classes=3)
    logits = model(torch.zeros(2, 3, 128, 128))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("text", [mcunet.MCUNET_5FPS, mcunet.MBV2_W035, mcunet.PROXYLESS_W03])
def test_residuals_keep_their_shape(text):
    specs = mcunet.parse_blocks(text)
    for before, spec in pairwise(specs):
        fits = spec.stride == 1 and before.outputs == spec.outputs
        assert spec.residual <= fits


def test_names():
    names = set(dict(mcunet.mcunet_5fps().named_parameters()))
    assert {"stem.conv.weight", "blocks.0.dw.conv.weight", "classifier.bias"} <= names
    assert "blocks.1.pw1.norm.bias" in names
    assert "blocks.0.pw1.conv.weight" not in names


def test_a_word_that_is_not_a_block_is_refused():
    with pytest.raises(ValueError, match="'48-16k3'"):
        mcunet.parse_blocks("48-16k3s1 48-16k3")
