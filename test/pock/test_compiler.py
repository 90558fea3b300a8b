"""`pock.compile` as a user calls it: results, refusals, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

import pock
from pock.compiler import parse_size
from pock.host import host_target_name, resolve_target
from pock_ir.diagnostics import PockError


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
Y = np.array([0, 1, 2, 1])


def build(**changes):
    options = {"optimizer": pock.SGD(lr=0.1, momentum=0.9), "target": "c", "name": "small"}
    return pock.compile(
        small_net(), (torch.from_numpy(X),), torch.from_numpy(Y), **{**options, **changes}
    )


@pytest.fixture(scope="module")
def program():
    return build()


def test_training_lowers_the_loss_and_evaluation_changes_nothing(program):
    session = program.new_session()
    before = session.state.tobytes()
    loss = session.run("eval", (X, Y)).loss
    assert session.state.tobytes() == before
    losses = [session.run("train_step", (X, Y)).loss for _ in range(20)]
    assert losses[0] == loss and losses[-1] < 0.5 * losses[0] and session.steps == 20


def test_inference_equals_evaluation(program):
    session = program.new_session()
    evaluated, inferred = session.run("eval", (X, Y)), session.run("infer", (X,))
    assert inferred.loss is None
    assert np.array_equal(inferred.arrays["output"], evaluated.arrays["output"])


def test_save_load_and_export(program, tmp_path):
    program.step(X, Y)
    program.save(tmp_path / "state.bin")
    after = program.step(X, Y)
    program.load(tmp_path / "state.bin")
    assert program.step(X, Y) == after
    program.export(tmp_path / "trained.safetensors")
    state = {
        name: torch.from_numpy(a) for name, a in load_file(tmp_path / "trained.safetensors").items()
    }
    net = small_net()
    net.load_state_dict(state)
    logits = net(torch.from_numpy(X)).detach().numpy()
    assert np.allclose(program.infer(X)["output"], logits, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_is_a_run_time_argument(program):
    session = program.new_session()
    assert session.learning_rate == np.float32(0.1)
    session.learning_rate = 0.0
    before = session.arrays()["0.weight"]
    session.run("train_step", (X, Y))
    assert np.array_equal(session.arrays()["0.weight"], before)
    with pytest.raises(PockError, match="an input is out of range"):
        session.learning_rate = float("nan")


def test_written_files_describe_themselves(program, tmp_path):
    root = program.write(tmp_path / "out")
    manifest = json.loads((root / "pock.json").read_text())
    memory = json.loads((root / "memory.json").read_text())
    header = (root / "include" / "small.h").read_text()
    for key in ("arena", "state", "constant"):
        size = manifest[f"{key}_bytes"]
        assert size == memory[f"{key}_bytes"]
        assert f"SMALL_{key.upper()}_BYTES ((size_t){size}u)" in header
    assert not list(root.rglob("*.part"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((X[:2], Y), r"should be float32 of shape \(4, 6\), not float32 of shape \(2, 6\)"),
        ((X.astype(np.float64), Y), "not float64"),
        ((X,), "takes 2 arrays"),
        ((X, np.array([0, 1, 2, 3])), "an input is out of range"),
        ((X, np.array([0, 1, 2, -1])), "an input is out of range"),
    ],
)
def test_batches_that_do_not_fit_are_refused(program, arrays, message):
    with pytest.raises(PockError, match=message):
        program.new_session().run("train_step", arrays)


def test_a_loss_that_is_not_finite_changes_nothing(program):
    session = program.new_session()
    before = session.save()
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(PockError, match="the loss is not finite; nothing was updated"):
        session.run("train_step", (bad, Y))
    assert session.save() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Bad-Name"}, "'Bad-Name' cannot name a program"),
        ({"target": "pdp-11"}, "unknown target 'pdp-11'"),
        ({"budget": "1 KB"}, "more than the budget of 1024"),
        ({"budget": "lots"}, "'lots' is not a size"),
        ({"update": "sideways"}, "sideways"),
        ({"optimizer": 3}, "'int' is no optimizer"),
        ({"loss": "hinge"}, "hinge"),
        ({"frontend": "caffe"}, "unknown frontend 'caffe'"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(PockError, match=message):
        build(**changes)


def test_what_is_no_model_is_refused():
    with pytest.raises(PockError, match="'dict' is no model that pock can import"):
        pock.compile({}, (X,), Y)


@pytest.mark.parametrize(
    ("text", "size"),
    [("256KB", 262144), ("1.5 MB", 1572864), ("12", 12), (7, 7), ("2GiB", 1 << 31)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


def test_host_names_a_declared_target():
    assert resolve_target("host:threads=2") == resolve_target(f"{host_target_name()}:threads=2")


class Tied(nn.Module):
    """A table that is also the output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, 4)
        self.out = nn.Linear(4, 10, bias=False)
        self.out.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.table(ids))


def test_a_tied_parameter_is_exported_under_each_of_its_names(tmp_path):
    ids = torch.tensor([1, 2, 3])
    program = pock.compile(Tied(), (ids,), ids, target="c", name="tied")
    program.step(ids, ids)
    program.export(tmp_path / "tied.safetensors")
    state = {n: torch.from_numpy(a) for n, a in load_file(tmp_path / "tied.safetensors").items()}
    assert sorted(state) == ["out.weight", "table.weight"]
    assert torch.equal(state["out.weight"], state["table.weight"])
    model = Tied()
    model.load_state_dict(state)
    assert not torch.equal(model.table.weight, Tied().table.weight)


def feed_forward() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64)) for _ in range(3)]
    return nn.Sequential(*layers, nn.Linear(64, 3))


def test_recomputation_takes_less_memory_and_computes_the_same():
    x, y = torch.randn(64, 64, generator=torch.Generator().manual_seed(1)), torch.arange(64) % 3
    kept, again = (
        pock.compile(feed_forward(), (x,), y, target="c", recompute=choice)
        for choice in ("none", "cheap")
    )
    assert again.layout.arena_bytes < 0.8 * kept.layout.arena_bytes
    assert again.verify(2).passed
    with pytest.raises(PockError, match="unknown choice 'much'"):
        pock.compile(feed_forward(), (x,), y, target="c", recompute="much")
