"""Binary images: the constants and the state of a program, with the header that the C code checks.

An image is a 64-byte header and a payload. The header: "POCK", u32 format, u32 kind, i32 step,
i32 seed, f32 rate, u64 payload bytes, 16 bytes of the model's hash, u32 CRC-32 of the whole image
with this field as zero, 12 zero bytes. All numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from math import inf

from pock_ir.diagnostics import PockError

MAGIC = b"POCK"
FORMAT = 1
STATE = 1
CONSTANTS = 2
HEADER = struct.Struct("<4sIIiifQ16sI12x")
HEADER_BYTES = HEADER.size
CRC_AT = 48
"""Where the checksum stands in the header."""


@dataclass(frozen=True)
class Image:
    """The contents of an image. `hash` is 16 bytes; `payload` the region's bytes."""

    kind: int
    step: int
    seed: int
    rate: float
    hash: bytes
    payload: bytes


def encode(image: Image) -> bytes:
    """The image as a file."""
    without = _header(image, 0)
    crc = zlib.crc32(image.payload, zlib.crc32(without))
    return _header(image, crc) + image.payload


def decode(data: bytes, kind: int, hash: bytes | None = None) -> Image:
    """Read an image back.

    Raises PockError if it is not one, is damaged, is of another kind, or of another model.
    """
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        raise PockError("not a pock image: wrong magic number")
    _, version, found, step, seed, rate, size, model, crc = HEADER.unpack_from(data)
    image = Image(found, step, seed, rate, model, bytes(data[HEADER_BYTES:]))
    if version != FORMAT:
        raise PockError(f"image format {version} is not supported; this version reads {FORMAT}")
    if size != len(image.payload):
        raise PockError(f"the image should hold {size} bytes, but holds {len(image.payload)}")
    # Over the bytes as they are: unused ones of the header may not be changed either.
    if zlib.crc32(data[:CRC_AT] + bytes(4) + data[CRC_AT + 4 :]) != crc:
        raise PockError("the image is damaged: its checksum is wrong")
    if not 0.0 <= rate < inf:
        raise PockError(f"the image's learning rate is {rate}; it should be finite, not negative")
    if found != kind:
        raise PockError("the image is of another kind (state and constants are two files)")
    if hash is not None and model != hash:
        raise PockError("the image belongs to another model or to another compilation of it")
    return image


def _header(image: Image, crc: int) -> bytes:
    size = len(image.payload)
    fields = (image.kind, image.step, image.seed, image.rate, size, image.hash, crc)
    return HEADER.pack(MAGIC, FORMAT, *fields)
