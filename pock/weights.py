"""Weights files: tensors by framework name in the safetensors format.

A file is written canonically, so that equal weights give equal bytes. A file that is read may
come from anywhere: nothing in it is trusted before it was checked, and the header's size, the
number of tensors, ranks and sizes are capped first.

Format: u64 length of the header, the header (JSON: name -> dtype, shape, data_offsets), the data.
Source: github.com/huggingface/safetensors, README. Stricter here: offsets must cover the data
exactly and without overlap, and names are unique.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np

from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.types import DTYPES, Array, DType, dtype_of_numpy

MAX_HEADER_BYTES = 16 << 20
"""Far above what a model of 10,000 tensors needs (about 1 MB)."""

MAX_RANK = 16
MAX_FILE_BYTES = 1 << 40

_LENGTH_BYTES = 8
_ALIGNMENT = 8
"""The header is padded with spaces to this, as the format's own library does."""

_METADATA = "__metadata__"

_CODES: Mapping[str, str] = {
    "f16": "F16",
    "bf16": "BF16",
    "f32": "F32",
    "f64": "F64",
    "i1": "BOOL",
    "i8": "I8",
    "i16": "I16",
    "i32": "I32",
    "i64": "I64",
}
"""pock's element types and what the format calls them."""

_BY_CODE = {_CODES[dtype.name]: dtype for dtype in DTYPES}


def weights_bytes(weights: Mapping[str, Array]) -> bytes:
    """The file for `weights`; tensors are stored in order of their names, row-major.

    Raises PockError for a name or an element type that the format cannot hold.
    """
    header: dict[str, object] = {}
    parts: list[bytes] = []
    offset = 0
    for name in sorted(weights):
        data = _little_endian(name, weights[name])
        header[name] = {
            "dtype": _CODES[dtype_of_numpy(weights[name].dtype).name],
            "shape": list(weights[name].shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, *parts])


def save_weights(path: str | os.PathLike[str], weights: Mapping[str, Array]) -> None:
    """Write `weights` to `path`. Raises PockError as `weights_bytes`, or if it cannot write."""
    content = weights_bytes(weights)
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise PockError(f"cannot write {quote(os.fspath(path))}: {error.strerror}") from None


def load_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The tensors of the file at `path` by name, each a copy.

    Raises PockError if the file cannot be read or is malformed in any way.
    """
    place = os.fspath(path)
    try:
        if Path(place).stat().st_size > MAX_FILE_BYTES:
            raise _malformed(place, f"longer than {MAX_FILE_BYTES} bytes")
        content = Path(place).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PockError(f"cannot read {quote(place)}: {reason}") from None
    return parse_weights(content, place)


def parse_weights(content: bytes, name: str = "<weights>") -> dict[str, Array]:
    """The tensors of a safetensors file by name, each a copy.

    name: what messages call the file. Raises PockError, and nothing else, if it is malformed.
    """
    header, start = _read_header(content, name)
    data = memoryview(content)[start:]
    entries = [(key, _Entry(name, key, value)) for key, value in header.items() if key != _METADATA]
    _check_cover(name, [entry for _, entry in entries], len(data))
    return {key: entry.read(data) for key, entry in entries}


class _Entry:
    """One checked line of the header."""

    def __init__(self, file: str, name: str, value: object) -> None:
        if not isinstance(value, dict):
            raise _malformed(file, f"tensor {quote(name)} is not described by an object")
        entry = cast("dict[str, object]", value)
        if set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _malformed(file, f"tensor {quote(name)} should have dtype, shape, data_offsets")
        self.name = name
        self.dtype = _dtype(file, name, entry["dtype"])
        self.shape = _sizes(file, name, entry["shape"])
        offsets = _sizes(file, name, entry["data_offsets"])
        if len(offsets) != 2 or len(self.shape) > MAX_RANK:
            raise _malformed(file, f"tensor {quote(name)} has {len(self.shape)} dims or no range")
        self.begin, self.end = offsets
        if self.end - self.begin != prod(self.shape) * self.dtype.bytes:
            size = f"{list(self.shape)} of {self.dtype.name}"
            raise _malformed(file, f"tensor {quote(name)} of {size} has {offsets} as its range")

    def read(self, data: memoryview) -> Array:
        raw = np.frombuffer(data[self.begin : self.end], self.dtype.numpy.newbyteorder("<"))
        return raw.reshape(self.shape).astype(self.dtype.numpy)


def _dtype(file: str, name: str, code: object) -> DType:
    if not isinstance(code, str) or code not in _BY_CODE:
        raise _malformed(file, f"tensor {quote(name)} has unknown dtype {quote(code)}")
    return _BY_CODE[code]


def _sizes(file: str, name: str, value: object) -> tuple[int, ...]:
    """A short list of integers from 0 to MAX_FILE_BYTES."""
    listed: list[Any] = cast("list[Any]", value) if isinstance(value, list) else []
    sizes = [item for item in listed if type(item) is int and 0 <= item <= MAX_FILE_BYTES]
    if sizes != value or len(sizes) > MAX_RANK:
        raise _malformed(
            file, f"tensor {quote(name)} has a shape or range that is no list of sizes"
        )
    return tuple(sizes)


def _read_header(content: bytes, name: str) -> tuple[dict[str, object], int]:
    """The header as an object, and where the data starts."""
    size = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + size
    if len(content) < _LENGTH_BYTES or size > MAX_HEADER_BYTES or start > len(content):
        raise _malformed(name, "the header does not fit the file")
    try:
        text = content[_LENGTH_BYTES:start].decode("utf-8")
        header = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _malformed(name, "the header is not JSON with unique names") from None
    if not isinstance(header, dict):
        raise _malformed(name, "the header is not an object")
    return cast("dict[str, object]", header), start


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _check_cover(name: str, entries: list[_Entry], size: int) -> None:
    """The ranges cover the data exactly: no gap, no overlap, nothing behind."""
    end = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            raise _malformed(name, f"tensor {quote(entry.name)} does not start where the last ends")
        end = entry.end
    if end != size:
        raise _malformed(name, f"the tensors have {end} bytes, but the file has {size}")


def _little_endian(name: str, array: Array) -> bytes:
    try:
        name.encode()
        dtype = dtype_of_numpy(array.dtype)
    except (UnicodeEncodeError, KeyError):
        raise PockError(f"cannot store {quote(name)} of {array.dtype} in a weights file") from None
    if name == _METADATA:
        raise PockError(f"a tensor may not be called {quote(name)}")
    return np.ascontiguousarray(array).astype(dtype.numpy.newbyteorder("<"), copy=False).tobytes()


def _malformed(file: str, reason: str) -> PockError:
    return PockError(
        Diagnostic(f"malformed weights file: {reason}", file, "write it again with safetensors")
    )
