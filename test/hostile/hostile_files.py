"""Files that must be refused: weights, images, schemes, manifests and arrays."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

from pock_ir.targets.c.program import blob


def weights(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header, as JSON or as it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(**changes: Any) -> dict[str, Any]:
    """The header of a file with one f32[2] tensor."""
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


EIGHT = b"\0" * 8

WEIGHTS: dict[str, bytes] = {
    "empty": b"",
    "short": b"\0\0\0",
    "header longer than the file": weights(b"{}", length=1 << 40),
    "header of 2^64 - 1 bytes": weights(b"{}", length=(1 << 64) - 1),
    "header is no JSON": weights(b"not json"),
    "header is a list": weights([]),
    "header is not UTF-8": weights(b"\xff\xfe{}"),
    "header nested deeply": weights(b"[" * 100_000),
    "name twice": weights(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    "unknown dtype": weights(entry(dtype="F8_EVIL"), EIGHT),
    "dtype is a number": weights(entry(dtype=7), EIGHT),
    "shape is a text": weights(entry(shape="2"), EIGHT),
    "negative size": weights(entry(shape=[-2]), EIGHT),
    "size is true": weights(entry(shape=[True]), EIGHT),
    "size is a float": weights(entry(shape=[2.0]), EIGHT),
    "sizes that overflow": weights(entry(shape=[1 << 62, 1 << 62]), EIGHT),
    "rank of 1000": weights(entry(shape=[1] * 1000), EIGHT),
    "offsets swapped": weights(entry(data_offsets=[8, 0]), EIGHT),
    "offsets beyond the file": weights(entry(data_offsets=[1 << 30, (1 << 30) + 8]), EIGHT),
    "three offsets": weights(entry(data_offsets=[0, 4, 8]), EIGHT),
    "offsets that do not fit": weights(entry(data_offsets=[0, 4]), EIGHT),
    "gap": weights(entry(data_offsets=[8, 16]), EIGHT * 2),
    "bytes behind": weights(entry(), EIGHT * 2),
    "data missing": weights(entry()),
    "overlap": weights({**entry(), "v": entry()["w"]}, EIGHT),
    "missing key": weights({"w": {"dtype": "F32", "shape": [2]}}, EIGHT),
    "further key": weights(entry(evil=1), EIGHT),
    "tensor is a list": weights({"w": []}, EIGHT),
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "nan as a size": weights(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', EIGHT),
}

GOOD_HASH = bytes(range(16))
GOOD = blob.encode(blob.Image(blob.STATE, 3, 1, 0.5, GOOD_HASH, b"payload" * 9))


def changed(position: int, data: bytes) -> bytes:
    """A good image with some bytes replaced."""
    return GOOD[:position] + data + GOOD[position + len(data) :]


IMAGES: dict[str, bytes] = {
    "empty": b"",
    "header only in part": GOOD[:63],
    "wrong magic": changed(0, b"EVIL"),
    "format of the future": changed(4, b"\xff\0\0\0"),
    "other kind": blob.encode(blob.Image(blob.CONSTANTS, 0, 0, 0.0, GOOD_HASH, b"payload" * 9)),
    "kind flipped": changed(8, b"\2"),
    "step flipped": changed(12, b"\x7f"),
    "rate is NaN": changed(20, b"\0\0\xc0\x7f"),
    "size too large": changed(24, b"\xff" * 8),
    "size too small": changed(24, b"\1" + b"\0" * 7),
    "hash flipped": changed(32, b"\xff"),
    "checksum flipped": changed(48, b"\xff\xff\xff\xff"),
    "padding used": changed(60, b"\1"),
    "payload flipped": changed(70, b"\xff"),
    "payload cut": GOOD[:-1],
    "byte behind": GOOD + b"\0",
    "text": b"POCK" + b"a" * 100,
}

SCHEMES: dict[str, bytes] = {
    "a.json": b"",
    "b.json": b"{",
    "c.json": b"[]",
    "d.json": b'{"rules": 7}',
    "e.json": b'{"rules": [7]}',
    "f.json": b'{"rules": [{}]}',
    "g.json": b'{"rules": [{"parameters": 7}]}',
    "h.json": b'{"rules": [{"parameters": "*", "evil": 1}]}',
    "i.json": b'{"evil": []}',
    "j.json": b'{"rules": [{"parameters": "*", "ratio": "all"}]}',
    "k.json": b'{"rules": [{"parameters": "*", "ratio": NaN}]}',
    "l.json": b'{"rules": [], "rules": []}',
    "m.json": b"\xff\xfe",
    "n.json": b"[" * 100_000,
    "o.toml": b"rules = [",
    "p.toml": b"[[rules]]\nparameters = 7\n",
    "q.toml": b"a" * (2 << 20),
    "r.toml": b"[[rules]]\nparameters = '*'\ntrain = 'yes'\n",
}


def _set(*path: str | int) -> Callable[[Any, Any], None]:
    def change(document: Any, value: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


# What is changed in a good manifest, and to what.
MANIFESTS: dict[str, tuple[Callable[[Any, Any], None], Any]] = {
    "schema of the future": (_set("schema"), 99),
    "schema is a text": (_set("schema"), "1"),
    "further key": (_set("evil"), 1),
    "name is a path": (_set("name"), "../../evil"),
    "name is C": (_set("name"), 'x"; system("x'),
    "name is a keyword": (_set("name"), "int"),
    "name is a number": (_set("name"), 7),
    "unknown target": (_set("target"), "evil"),
    "target with options": (_set("target"), "c:threads=2"),
    "no threads": (_set("threads"), 0),
    "threads is true": (_set("threads"), True),
    "million threads": (_set("threads"), 1_000_000),
    "negative arena": (_set("arena_bytes"), -1),
    "arena of 2^70": (_set("arena_bytes"), 1 << 70),
    "arena is a float": (_set("arena_bytes"), 64.0),
    "no state": (_set("state_bytes"), 0),
    "entries is an object": (_set("entries"), {}),
    "unknown entry": (_set("entries", 0, "name"), "system"),
    "port kind": (_set("entries", 0, "ports", 0, "kind"), "evil"),
    "port dtype": (_set("entries", 0, "ports", 0, "dtype"), "f99"),
    "port shape": (_set("entries", 0, "ports", 0, "shape"), [1 << 40, 1 << 40]),
    "port shape of zero": (_set("entries", 0, "ports", 0, "shape"), [0]),
    "object outside": (_set("objects", 0, "offset"), 1 << 40),
    "object unaligned": (_set("objects", 0, "offset"), 1),
    "object region": (_set("objects", 0, "region"), "stack"),
    "object permute": (_set("objects", 0, "permute"), [0, 0]),
    "objects overlap": (_set("objects", 1, "offset"), 0),
    "hash too short": (_set("model_hash"), "abc"),
    "hash of another model": (_set("model_hash"), "0" * 32),
    "path upwards": (_set("sha256"), {"../../etc/passwd": "0" * 64}),
    "absolute path": (_set("sha256"), {"/etc/passwd": "0" * 64}),
    "path of itself": (_set("sha256"), {"pock.json": "0" * 64}),
    "no files": (_set("sha256"), {}),
    "checksum too short": (_set("sha256", "Makefile"), "0"),
    "wrong checksum": (_set("sha256", "Makefile"), "0" * 64),
    "missing file": (_set("sha256", "gone.c"), "0" * 64),
    "alias is a number": (_set("aliases"), {"a": 7}),
}

MANIFEST_TEXTS: dict[str, bytes] = {
    "manifest empty": b"",
    "manifest is a list": b"[]",
    "manifest cut": b'{"schema": 1,',
    "manifest nested deeply": b'{"a":' * 50_000,
    "manifest not UTF-8": b'{"schema": "\xff"}',
    "manifest with a key twice": b'{"schema": 1, "schema": 1}',
    "manifest with NaN": b'{"schema": NaN}',
    "manifest without anything": b"{}",
}


def manifest_with(good: Any, name: str) -> bytes:
    """The manifest `good` with the change called `name`."""
    document = copy.deepcopy(good)
    change, value = MANIFESTS[name]
    change(document, value)
    return json.dumps(document).encode()
