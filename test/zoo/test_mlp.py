import pytest

torch = pytest.importorskip("torch")

from pock.zoo import mlp  # noqa: E402


def test_names_shapes_and_forward():
    model = mlp.mlp(5, 7, 3)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == {
        "layers.0.weight": (7, 5),
        "layers.0.bias": (7,),
        "layers.1.weight": (3, 7),
        "layers.1.bias": (3,),
    }
    assert model(torch.zeros(2, 5)).shape == (2, 3)


def test_no_relu_after_the_last_layer():
    model = mlp.mlp(1, 1)
    with torch.no_grad():
        model.layers[0].weight.fill_(-1.0)
        model.layers[0].bias.zero_()
    assert model(torch.ones(1, 1)).item() == -1.0


@pytest.mark.parametrize("make, count", [(mlp.digits_mlp, 4810), (mlp.mnist_mlp, 235146)])
def test_parameter_count(make, count):
    assert sum(p.numel() for p in make().parameters()) == count


def test_one_width_is_refused():
    with pytest.raises(ValueError, match="at least an input and an output width"):
        mlp.mlp(5)
