"""`pock` on a .keras file: compiled, checked, verified; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, optimizers

from pock.tools.pock import main


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    return (status, *capsys.readouterr())


def digits(optimizer: Any = "adam", loss: Any = None) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    if optimizer is not None:
        chosen = loss or losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, chosen)
    return model


def data(rows: int = 24) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 6)).astype(np.float32)
    np.savez("data.npz", inputs=x, target=np.argmax(x[:, :3], 1))


def test_from_the_file_to_a_trained_program(capsys: pytest.CaptureFixture[str]) -> None:
    digits(optimizers.Adam(0.05)).save("My digits-2.keras")
    data()
    given = ("My digits-2.keras", "--data", "data.npz", "--batch", "8", "--target", "c")
    status, out, err = run(capsys, "compile", *given, "-o", "out")
    assert (status, "my_digits_2 for c" in out) == (0, True), err
    status, out, err = run(capsys, "run", "out", "--data", "data.npz", "--iters", "60", "--json")
    assert status == 0, err
    trained = json.loads(out)["losses"]
    assert trained[-1] < 0.6 * trained[0]
    status, out, err = run(capsys, "verify", "out", "--job", *given, "--steps", "1")
    assert status == 0 and "tensors agree" in out, err


def test_options_change_what_the_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    digits(None).save("plain.keras")
    data()
    options = ("--loss", "cross_entropy", "--optimizer", "lion", "--name", "other")
    status, out, err = run(capsys, "check", "plain.keras", *options)
    assert (status, out) == (0, "other: compiles\n"), err
    given = ("plain.keras", "--loss", "mse", "--frontend", "keras", "--batch", "2")
    assert run(capsys, "verify", *given, "--steps", "1", "--target", "c")[0] == 0


def fitted() -> Any:
    model = digits(optimizers.Adam(0.01, epsilon=1e-5))
    model.fit(np.ones((4, 6), np.float32), np.zeros(4), verbose=0)
    return model


def test_a_trained_file_needs_a_new_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    fitted().save("fitted.keras")
    status, _, err = run(capsys, "check", "fitted.keras")
    assert status == 2 and "fitted.keras: error: the optimizer has taken 1 step already" in err
    text = "adam{lr=0.01 eps=1e-05 eps_before_correction=true}"
    assert f"--optimizer '{text}'" in err
    assert run(capsys, "check", "fitted.keras", "--optimizer", text)[0] == 0


def unknown() -> Any:
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


def noisy() -> Any:
    model = keras.Sequential([keras.Input((4,)), layers.GaussianNoise(0.1), layers.Dense(3)])
    model.compile("rmsprop", "mse")
    return model


def with_code() -> Any:
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2, name="double")])
    model.compile("sgd", "mse")
    return model


def own_loss() -> Any:
    return digits("sgd", lambda_free_loss)


def lambda_free_loss(target: Any, output: Any) -> Any:
    return keras.ops.mean(target - output)


REFUSED: dict[str, tuple[Callable[[], Any], Sequence[str]]] = {
    "not compiled with a loss\n  help: give --loss": (lambda: digits(None), ()),
    "dimension 1 of its shape (None, None, 4) is not known\n  help: give data (--data": (
        unknown,
        (),
    ),
    "the Lambda layer 'double' holds Python code": (with_code, ()),
    "Could not locate function 'lambda_free_loss'\n  help: if it has": (own_loss, ()),
    "'RMSprop' is not supported": (noisy, ()),
    "random numbers other than dropout's": (noisy, ()),
    "24 rows do not fill a batch of 32\n  help: give a batch": (digits, ("--data", "data.npz")),
    "cannot read 'none.npz'": (digits, ("--data", "none.npz")),
    "is a model of keras, and the frontend is forced to be torch": (
        digits,
        ("--frontend", "torch"),
    ),
    "Keras runs on 'jax' here\n  help: set KERAS_BACKEND=tensorflow": (
        digits,
        ("--frontend", "tensorflow"),
    ),
    "'nix' is not one of 'torch', 'jax', 'keras', 'tensorflow'": (digits, ("--frontend", "nix")),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, options = REFUSED[message]
    make().save("model.keras")
    data()
    status, out, err = run(capsys, "check", "model.keras", *options)
    assert (status, out) == (2, "") and message in err, err
    assert "internal" not in err
