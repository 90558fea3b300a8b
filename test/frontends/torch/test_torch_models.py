"""Whole small models: values, buffer updates, names, ties, masks; the user's model stays."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from imported_runs import function_named, op_counts, run_imported
from torch import Tensor, nn
from torch_import import check_model, given_arrays

from pock.frontends.torch import import_torch
from pock.frontends.torch.oracle import MatchedDropout
from pock.zoo import bert, mobilenet, resnet
from pock.zoo.mlp import mlp
from pock_ir.location import location_of, unlocated
from pock_ir.passes.signature import argument_attributes, kind_of, name_of

BATCH = torch.sin(torch.arange(4 * 3 * 16 * 16.0)).reshape(4, 3, 16, 16)
LABELS = torch.tensor([0, 2, 1, 2])
IDS = torch.arange(2 * 8).reshape(2, 8) * 7 % 101
MASK = torch.tensor([[1] * 8, [1] * 5 + [0] * 3])
CLASSES = torch.tensor([2, 0])


class SmallCNN(nn.Module):
    """Convolution with bias, batch norm, max pooling, residual, flatten, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6, momentum=0.3, eps=1e-3)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(6, affine=False)
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(6 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.avg_pool2d(x + F.hardswish(self.bn2(self.conv2(x))), 2)
        return self.fc(self.drop(torch.flatten(x, 1)))


def test_mlp() -> None:
    imported = check_model(mlp(5, 7, 3), (BATCH[:, 0, 0, :5],), LABELS)
    assert imported.inputs == ("x",) and imported.targets == ("target",)
    assert imported.outputs == ("output",)
    assert list(imported.weights) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
    ]


def test_cnn_in_training() -> None:
    imported = check_model(SmallCNN(), (BATCH,), LABELS)
    train = function_named(imported, "train")
    assert op_counts(train)["nn.batch_norm"] == 2
    kinds = [kind_of(entry) for entry in argument_attributes(train)]
    order = ["parameter", "buffer", "constant", "input", "target", "step", "seed"]
    assert sorted(kinds, key=order.index) == kinds
    assert kinds[-2:] == ["step", "seed"]


def test_cnn_with_one_frozen_batch_norm() -> None:
    model = SmallCNN()
    model.bn1.eval()
    train = function_named(check_model(model, (BATCH,), LABELS), "train")
    assert op_counts(train)["nn.batch_norm"] == 1
    assert op_counts(train)["nn.batch_norm_inference"] == 1


def test_model_in_eval_mode_trains_frozen() -> None:
    imported = check_model(SmallCNN().eval(), (BATCH,), LABELS)
    assert "nn.batch_norm" not in op_counts(function_named(imported, "train"))


def test_batch_norm_without_running_statistics() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    imported = check_model(model, (BATCH,), torch.zeros(4, 4, 14, 14), "mse")
    assert "nn.batch_norm" in op_counts(function_named(imported, "infer"))


@pytest.mark.parametrize(
    ("model", "pixels"),
    [
        pytest.param(mobilenet.mobilenet_v2(3, 0.25), 32, id="mobilenet_v2"),
        pytest.param(resnet.CifarResNet(1, 3), 16, id="resnet"),
    ],
)
def test_zoo_cnn(model: nn.Module, pixels: int) -> None:
    # In f64: one pixel and four samples make batch norm amplify rounding errors.
    picture = BATCH.double() if pixels == 16 else BATCH.double().repeat(1, 1, 2, 2)
    check_model(model.double(), (picture,), LABELS, tolerance=1e-9)


def test_bert_with_mask_and_dropout() -> None:
    model = bert.bert_classifier(bert.TINY, 3)
    imported = check_model(model, (IDS, MASK), CLASSES)
    streams = [
        op.properties["stream"].value.data
        for op in function_named(imported, "train").body.block.ops
        if "stream" in op.properties
    ]
    assert streams == list(range(len(streams))) and len(streams) == 8


class TiedLanguageModel(nn.Module):
    """Causal attention from a mask made in the graph, and an output tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.qkv = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("angles", torch.linspace(0, 1, 8)[None], persistent=False)

    def forward(self, ids: Tensor, keep: Tensor) -> dict[str, Tensor]:
        length = ids.shape[1]
        with torch.no_grad():
            causal = torch.arange(length)[None, :] <= torch.arange(length)[:, None]
            visible = causal[None, None] & keep[:, None, None, :].bool()
            bias = torch.where(visible, 0.0, torch.finfo(torch.float32).min)
        x = self.embed(ids) + self.angles
        q, k, v = (
            part.view(*ids.shape, 2, 4).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        y = F.scaled_dot_product_attention(q, k, v, bias)
        hidden = self.norm(x + y.transpose(1, 2).flatten(2))
        return {"hidden": hidden, "logits": self.head(hidden)}


def next_token_loss(outputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    return F.cross_entropy(outputs["logits"].flatten(0, 1), labels.flatten())


def test_tied_weights_masks_constants_and_named_outputs() -> None:
    labels = IDS % 11
    labels[1, 5:] = -100
    imported = check_model(TiedLanguageModel(), (IDS % 11, MASK), labels, next_token_loss)
    assert imported.aliases == {"head.weight": "embed.weight"}
    assert imported.outputs == ("hidden", "logits")
    assert "head.weight" not in imported.weights
    kinds = {
        name_of(entry): kind_of(entry)
        for entry in argument_attributes(function_named(imported, "infer"))
    }
    assert kinds["angles"] == "constant" and kinds["embed.weight"] == "parameter"


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine


class Rotary(nn.Module):
    """Grouped causal attention with rotary positions, whose sines are constants."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.norm = nn.RMSNorm(8, eps=1e-6)
        self.register_buffer("rates", torch.tensor([1.0, 0.01]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        angles = torch.outer(torch.arange(length).float(), self.rates).repeat(1, 2)
        cosine, sine = angles.cos(), angles.sin()
        y = self.norm(x)
        q = self.q(y).view(batch, length, 2, 4).transpose(1, 2)
        k, v = self.kv(y).view(batch, length, 2, 1, 4).unbind(2)
        q, k = rotated(q, cosine, sine), rotated(k.transpose(1, 2), cosine, sine)
        y = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), is_causal=True, enable_gqa=True)
        return self.head(y.transpose(1, 2).flatten(2)[:, -1])


def test_constant_expressions_are_computed() -> None:
    imported = check_model(Rotary(), (BATCH[:, 0, :5, :8],), LABELS)
    assert imported.weights["cos"].shape == (5, 4)
    assert "rates" not in imported.weights


def test_torch_transformer_with_dropout() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.2, batch_first=True)
    check_model(layer, (BATCH[:, 0, :5, :8],), torch.zeros(4, 5, 8), "mse")


class LeftOver(nn.Module):
    """Makes a constant that no program can hold and that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        ignored = torch.tensor([], dtype=torch.complex64).clone()
        return self.fc(x) if ignored.dim() == 1 else x


def test_constants_that_nothing_reads() -> None:
    assert check_model(LeftOver(), (BATCH[:, 0, 0, :8],), LABELS).weights.keys() == {
        "fc.weight",
        "fc.bias",
    }


class Stochastic(nn.Module):
    """Stochastic depth as it is written: samples masked by Bernoulli, or by uniform numbers."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.by_hand = by_hand

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            y = layer(F.dropout(x, 0.25, self.training))
            x = x + (y * self.mask(y) / 0.6 if self.training else y)
        return x

    def mask(self, y: Tensor) -> Tensor:
        if self.by_hand:
            return torch.floor(0.6 + torch.rand((len(y), 1), dtype=y.dtype))
        return y.new_empty((len(y), 1)).bernoulli_(0.6)


@pytest.mark.parametrize("by_hand", [False, True])
def test_stochastic_depth(by_hand: bool) -> None:
    x, target = BATCH[:, 0, :3].reshape(12, 16)[:, :8], torch.zeros(12, 8)
    model = Stochastic(by_hand)
    check_model(model, (x,), target, "mse")
    with MatchedDropout(0, 0):
        F.dropout(x, 0.25)
        kept = model.mask(x)
    assert 0 < kept.sum() < len(kept)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0][:, -1]


def test_recurrent_layer_is_unrolled() -> None:
    check_model(Recurrent(), (BATCH[:, 0, :3, :8],), LABELS)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.fc.bias.requires_grad_(False)
        self.unused = nn.Linear(5, 5)

    def forward(
        self, pair: tuple[Tensor, Tensor], options: dict[str, Tensor]
    ) -> tuple[Tensor, ...]:
        table = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        scale = torch.tensor(2.0)
        y = self.fc(pair[0] * options["factor"] + table[0]) * scale
        return y, y.sum()


def test_nested_inputs_constants_and_unused_tensors() -> None:
    inputs = ((torch.ones(4, 3), torch.zeros(9)), {"factor": torch.full((3,), 0.5)})
    imported = check_model(Nested(), inputs, torch.zeros(4, 2), "mse")
    assert imported.inputs == ("pair_0", "pair_1", "options_factor")
    assert imported.outputs == ("output.0", "output.1")
    assert imported.frozen == ("fc.bias",)
    assert not any(name.startswith("unused") for name in imported.weights)
    names = [name_of(entry) for entry in argument_attributes(function_named(imported, "infer"))]
    assert "pair_1" not in names


class Remembers(nn.Module):
    """Writes a buffer in training that it reads in inference only."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 3)
        self.register_buffer("last", torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.last.copy_(x.mean(0))
            return self.fc(x)
        return self.fc(x - self.last)


def test_buffer_that_training_only_writes() -> None:
    imported = check_model(Remembers(), (BATCH[:, 0, 0, :5],), LABELS)
    entries = argument_attributes(function_named(imported, "train"))
    assert ("buffer", "last") in [(kind_of(entry), name_of(entry)) for entry in entries]


def test_keyword_inputs_and_loss_module() -> None:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.0, 2.0]))
    model = mlp(5, 3)
    x = BATCH[:, 0, 0, :5]
    imported = import_torch(model, {"x": x}, LABELS, loss)
    assert imported.weights["loss.weight"].tolist() == [0.5, 1.0, 2.0]
    results = run_imported(imported, "train", given_arrays(imported, [x], LABELS))
    np.testing.assert_allclose(results["loss", "loss"], loss(model(x), LABELS).item(), rtol=1e-6)


def test_exported_program_without_training_behaviour() -> None:
    model = mlp(5, 3)
    x = BATCH[:, 0, 0, :5]
    imported = import_torch(torch.export.export(model, (x,)), (x,), LABELS, "cross_entropy")
    results = run_imported(imported, "infer", given_arrays(imported, [x], LABELS))
    np.testing.assert_allclose(results["output", "output"], model(x).detach(), rtol=1e-5, atol=1e-6)


def test_exported_program_in_training_mode_has_train_only() -> None:
    program = torch.export.export(SmallCNN(), (BATCH,))
    imported = import_torch(program, (BATCH,), LABELS, "cross_entropy")
    assert [op.sym_name.data for op in imported.module.ops] == ["train"]


def test_same_model_gives_the_same_weights_copied() -> None:
    model = mlp(5, 3)
    imported = import_torch(model, (BATCH[:, 0, 0, :5],), LABELS, "cross_entropy")
    imported.weights["layers.0.weight"][:] = 0
    assert model.layers[0].weight.abs().sum() > 0


def test_every_op_has_a_location_that_depends_on_no_directory() -> None:
    imported = import_torch(mlp(5, 3), (BATCH[:, 0, 0, :5],), LABELS, "cross_entropy")
    assert not unlocated(imported.module)
    places = {location_of(op) for op in function_named(imported, "infer").body.block.ops}
    assert places == {"pock/zoo/mlp.py:22:0", "infer"}
