"""State and constants images: round trip, and every damaged byte is refused."""

from dataclasses import replace

import pytest

from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program import blob

HASH = bytes(range(16))
IMAGE = blob.Image(blob.STATE, 7, -3, 0.125, HASH, b"payload of 19 bytes")


def test_round_trip():
    data = blob.encode(IMAGE)
    assert len(data) == blob.HEADER_BYTES + 19
    assert blob.decode(data, blob.STATE, HASH) == IMAGE


@pytest.mark.parametrize("position", range(blob.HEADER_BYTES + 19))
def test_every_flipped_byte_is_refused(position):
    data = bytearray(blob.encode(IMAGE))
    data[position] ^= 0x10
    with pytest.raises(PockError):
        blob.decode(bytes(data), blob.STATE, HASH)


@pytest.mark.parametrize("size", [0, 3, 63, 64, 80])
def test_truncation_is_refused(size):
    with pytest.raises(PockError):
        blob.decode(blob.encode(IMAGE)[:size], blob.STATE, HASH)


def test_the_other_kind_and_another_model_are_refused():
    with pytest.raises(PockError, match="of another kind"):
        blob.decode(blob.encode(IMAGE), blob.CONSTANTS)
    with pytest.raises(PockError, match="belongs to another model"):
        blob.decode(blob.encode(IMAGE), blob.STATE, bytes(16))


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.5])
def test_a_rate_that_could_not_be_set_is_refused(rate):
    with pytest.raises(PockError, match="learning rate"):
        blob.decode(blob.encode(replace(IMAGE, rate=rate)), blob.STATE)
