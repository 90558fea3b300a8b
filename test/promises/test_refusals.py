"""What a program refuses, it refuses before anything has changed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import arrays, program

from pock.session import Session
from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.blob import HEADER_BYTES


def trained(family: str, optimizer: str = "momentum") -> Session:
    """A session that has taken one step."""
    session = program(family, optimizer).new_session()
    session.run("train_step", arrays(family))
    return session


@pytest.mark.parametrize("family", ["mlp", "dropout", "mobilenet"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(family: str, value: float) -> None:
    """Neither parameters nor statistics nor the step; and training goes on as if it were not."""
    session, twin = trained(family), trained(family)
    before = session.save()
    batch = [array.clone() for array in arrays(family)]
    batch[0].reshape(-1)[3] = value
    with pytest.raises(PockError, match="not finite"):
        session.run("train_step", batch)
    assert session.save() == before
    good = arrays(family)
    assert session.run("train_step", good).loss == twin.run("train_step", good).loss
    assert session.save() == twin.save()


@pytest.mark.parametrize("label", [-1, 5, 2**31, -(2**63)])
@pytest.mark.parametrize("entry", ["train_step", "eval"])
def test_labels_out_of_range(entry: str, label: int) -> None:
    session = trained("mlp")
    before = session.save(), session.arena.tobytes()
    x, y = arrays("mlp")
    bad = y.clone()
    bad[2] = label
    with pytest.raises(PockError, match="out of range"):
        session.run(entry, [x, bad])
    assert (session.save(), session.arena.tobytes()) == before


def test_the_ignored_label_is_accepted() -> None:
    x, y = arrays("mlp")
    y = y.clone()
    y[1] = -100
    session = program("mlp", "momentum").new_session()
    loss = session.run("train_step", [x, y]).loss
    assert loss is not None and np.isfinite(loss)


@pytest.mark.parametrize("token", [-1, 101, 2**40])
@pytest.mark.parametrize("entry", ["train_step", "eval", "infer"])
def test_tokens_out_of_range(entry: str, token: int) -> None:
    session = trained("bert")
    before = session.save()
    tokens, mask, labels = arrays("bert")
    bad = tokens.clone()
    bad[3, 12] = token
    given = [bad, mask] if entry == "infer" else [bad, mask, labels]
    with pytest.raises(PockError, match="out of range"):
        session.run(entry, given)
    assert session.save() == before


@pytest.mark.parametrize(
    ("arrays_given", "message"),
    [
        ([torch.zeros(4, 11)], "takes 2 arrays"),
        ([torch.zeros(3, 11), torch.zeros(4, dtype=torch.int64)], "should be float32 of shape"),
        ([torch.zeros(4, 11), torch.zeros(4, dtype=torch.int32)], "should be int64 of shape"),
    ],
)
def test_arrays_that_do_not_fit(arrays_given: list[torch.Tensor], message: str) -> None:
    with pytest.raises(PockError, match=message):
        trained("mlp").run("train_step", arrays_given)


REASONS = {
    range(4): "not a file of this kind",
    range(4, 8): "another format version",
    range(8, 12): "not a file of this kind",
    range(12, 24): "damaged",
    range(24, 32): "wrong size",
    range(32, 48): "another model",
    range(48, 64): "damaged",
}
"""What the status says when a byte of the header is wrong."""


@pytest.mark.parametrize("place", range(HEADER_BYTES))
def test_a_damaged_header(place: int, session: Session) -> None:
    """Every byte, every bit."""
    before = session.save()
    reason = next(text for places, text in REASONS.items() if place in places)
    for bit in range(8):
        image = bytearray(before)
        image[place] ^= 1 << bit
        with pytest.raises(PockError, match=reason):
            session.load(bytes(image))
    assert session.save() == before


@pytest.fixture(scope="module")
def session() -> Session:
    return trained("mlp")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_a_damaged_payload(data: st.DataObject) -> None:
    session = trained_once()
    before = session.save()
    image = bytearray(before)
    place = data.draw(st.integers(HEADER_BYTES, len(image) - 1))
    image[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PockError, match="damaged"):
        session.load(bytes(image))
    assert session.save() == before


_ONCE: list[Session] = []


def trained_once() -> Session:
    if not _ONCE:
        _ONCE.append(trained("mlp"))
    return _ONCE[0]


@pytest.mark.parametrize("size", [0, 1, 63])
def test_less_than_a_header(size: int, session: Session) -> None:
    before = session.save()
    with pytest.raises(PockError, match="not a file of this kind"):
        session.load(before[:size])
    assert session.save() == before


@pytest.mark.parametrize("change", [64, 65, -1, +1])
def test_a_truncated_or_longer_image(change: int, session: Session) -> None:
    before = session.save()
    image = before + b"\0" if change == 1 else before[:change]
    with pytest.raises(PockError, match="wrong size"):
        session.load(image)
    assert session.save() == before


def test_an_image_of_another_model() -> None:
    other = program("mlp", "adamw").new_session().save()
    with pytest.raises(PockError, match="another model"):
        trained("mlp").load(other)


def test_constants_are_no_state(session: Session) -> None:
    constants = program("mlp", "momentum").files["net.constants.bin"]
    with pytest.raises(PockError, match="not a file of this kind"):
        session.load(constants)


def test_damaged_constants() -> None:
    """A session does not start on constants that are not those of the program."""
    compiled = program("bert", "momentum")
    name = "net.constants.bin"
    damaged = bytearray(compiled.files[name])
    damaged[48] ^= 1
    with pytest.raises(PockError, match="damaged"):
        compiled.with_files({name: bytes(damaged)}).new_session()


def test_a_negative_step_is_refused(session: Session) -> None:
    """Even with a checksum that fits: the step is read as a signed number."""
    image = bytearray(session.save())
    image[12:16] = struct.pack("<i", -1)
    image[48:52] = bytes(4)
    image[48:52] = struct.pack("<I", zlib.crc32(image))
    with pytest.raises(PockError, match="another format version"):
        session.load(bytes(image))


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_a_bad_learning_rate(rate: float, session: Session) -> None:
    before = session.learning_rate
    with pytest.raises(PockError, match="out of range"):
        session.learning_rate = rate
    assert session.learning_rate == before
