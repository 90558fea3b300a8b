"""Weights files: round trips, agreement with the safetensors library, and hostile input."""

import json
from contextlib import suppress

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pock.weights import load_weights, parse_weights, save_weights, weights_bytes
from pock_ir.diagnostics import PockError

WEIGHTS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a scalar": np.array(3, np.int64),
    "mask": np.array([True, False]),
    "half": np.array([1.5], ml_dtypes.bfloat16),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "gewöhnlich": np.array([], np.int8),
}


def test_round_trip(tmp_path) -> None:
    save_weights(tmp_path / "w.safetensors", WEIGHTS)
    loaded = load_weights(tmp_path / "w.safetensors")
    assert loaded.keys() == WEIGHTS.keys()
    for name, array in WEIGHTS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_bytes_do_not_depend_on_the_order_of_insertion() -> None:
    assert weights_bytes(WEIGHTS) == weights_bytes(dict(reversed(WEIGHTS.items())))


def test_the_library_reads_what_is_written_and_the_reverse() -> None:
    plain = {name: np.ascontiguousarray(WEIGHTS[name]) for name in ("layer.weight", "mask")}
    for name, array in safetensors.numpy.load(weights_bytes(plain)).items():
        np.testing.assert_array_equal(array, plain[name])
    content = safetensors.numpy.save(plain, metadata={"format": "np"})
    for name, array in parse_weights(content).items():
        np.testing.assert_array_equal(array, plain[name])


def file(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}


HOSTILE = {
    "empty": b"",
    "short": b"\x01\x00",
    "huge header": (1 << 62).to_bytes(8, "little") + b"{}",
    "no json": file(b"{"),
    "no object": file([1]),
    "deep": file(b"[" * 100_000),
    "nan": file(b'{"a": NaN}'),
    "twice": file(b'{"a": {"dtype":"I8","shape":[0],"data_offsets":[0,0]}, "a": {}}'),
    "no entry": file({"a": 1}),
    "more keys": file({"a": entry(more=1)}, b"1234"),
    "dtype": file({"a": entry(dtype="F128")}, b"1234"),
    "dtype list": file({"a": entry(dtype=["F32"])}, b"1234"),
    "negative": file({"a": entry(shape=[-1])}, b"1234"),
    "bool": file({"a": entry(shape=[True])}, b"1234"),
    "float": file({"a": entry(shape=[1.0])}, b"1234"),
    "product": file({"a": entry(shape=[1 << 39, 1 << 39])}, b"1234"),
    "rank": file({"a": entry(shape=[1] * 99)}, b"1234"),
    "reversed": file({"a": entry(data_offsets=[4, 0])}, b"1234"),
    "one offset": file({"a": entry(data_offsets=[0])}, b"1234"),
    "beyond": file({"a": entry(data_offsets=[4, 8])}, b"1234"),
    "gap": file({"a": entry(), "b": entry(data_offsets=[8, 12])}, b"123456789012"),
    "overlap": file({"a": entry(), "b": entry()}, b"1234"),
    "rest": file({"a": entry()}, b"12345"),
    "utf8": file(b'{"\xff": {}}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_malformed(name: str) -> None:
    with pytest.raises(PockError, match="malformed weights file"):
        parse_weights(HOSTILE[name], "w.safetensors")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 100), st.integers(0, 255))
def test_no_input_escapes_as_another_error(noise: bytes, position: int, byte: int) -> None:
    good = bytearray(weights_bytes({"a": np.arange(3.0)}))
    good[position % len(good)] = byte
    for content in (noise, bytes(good)):
        with suppress(PockError):
            parse_weights(content)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([1j])])
def test_refuses_what_it_cannot_store(array) -> None:
    with pytest.raises(PockError, match="cannot store"):
        weights_bytes({"a": array})


def test_missing_file(tmp_path) -> None:
    with pytest.raises(PockError, match="cannot read"):
        load_weights(tmp_path / "none.safetensors")
