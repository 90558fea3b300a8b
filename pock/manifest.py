"""Reading a written program back: its manifest `pock.json`, checked, and the files it names.

A folder may come from anywhere. Its manifest is capped and checked field by field, every file
must have the checksum that the manifest states, and the flags that the C is compiled with are
those of the named target, never those of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

from pock.host import resolve_target
from pock.program import Program
from pock.strict_json import Node, read_capped, read_object
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.dialects.mem import OBJECT_ALIGNMENT, OBJECT_KINDS
from pock_ir.target import Target
from pock_ir.targets.c.program import blob
from pock_ir.targets.c.program.files import MANIFEST_VERSION
from pock_ir.targets.c.program.header import ENTRY_COMMENTS
from pock_ir.targets.c.program.layout import (
    Call,
    Entry,
    Port,
    ProgramLayout,
    StoredObject,
    TensorSpec,
)
from pock_ir.targets.c.program.text import program_name
from pock_ir.types import DTYPES, dtype_named

MANIFEST = "pock.json"
MAX_MANIFEST_BYTES = 64 << 20
MAX_FILE_BYTES = 1 << 40
MAX_ITEMS = 1_000_000
MAX_RANK = 16
PORT_KINDS = ("input", "target", "rate", "step", "seed", "loss", "output", "gradient")
HELP = "give the folder that `pock compile -o` wrote"

FIELDS = (
    "schema",
    "pock",
    "name",
    "target",
    "threads",
    "model_hash",
    "arena_bytes",
    "state_bytes",
    "constant_bytes",
    "compile_flags",
    "entries",
    "objects",
    "aliases",
    "sha256",
)
"""Every key of the manifest; others are refused."""


@dataclass(frozen=True)
class Manifest:
    """What `pock.json` says. sha256: of each file, by its path relative to the folder."""

    layout: ProgramLayout
    model_hash: bytes
    sha256: dict[str, str]


def load_program(directory: str | os.PathLike[str]) -> Program:
    """The program in a folder that `Program.write` wrote, ready to run.

    Raises PockError if a file is missing, damaged or malformed, or the target is not known.
    """
    root = Path(directory)
    manifest = read_manifest(root)
    files = read_files(root, manifest)
    _check_images(root, manifest, files)
    return Program(manifest.layout, files, None)


def read_manifest(root: Path) -> Manifest:
    """The manifest of the program in `root`. Raises PockError if it is not one."""
    node = read_object(root / MANIFEST, MAX_MANIFEST_BYTES, HELP)
    schema = node.items().get("schema")
    if schema is not None and schema.integer() != MANIFEST_VERSION:
        raise schema.fail(f"this version of pock reads schema {MANIFEST_VERSION}")
    fields = dict(zip(FIELDS, node.fields(*FIELDS), strict=True))
    layout = ProgramLayout(
        name=_name(fields["name"]),
        target=_target(fields["target"], fields["threads"]),
        arena_bytes=fields["arena_bytes"].integer(),
        state_bytes=fields["state_bytes"].integer(),
        constant_bytes=fields["constant_bytes"].integer(),
        objects=tuple(_object(item) for item in fields["objects"].elements(MAX_ITEMS)),
        kernels=(),
        entries=_entries(fields["entries"]),
        aliases={key: item.text() for key, item in fields["aliases"].items().items()},
    )
    _check_objects(layout, fields["objects"])
    hash = fields["model_hash"].text()
    if not re.fullmatch(r"[0-9a-f]{32}", hash):
        raise fields["model_hash"].fail("this should be 32 hexadecimal digits")
    return Manifest(layout, bytes.fromhex(hash), _checksums(fields["sha256"]))


def _name(node: Node) -> str:
    try:
        return program_name(node.text())
    except PockError as error:
        raise node.fail(error.diagnostics[0].message) from error


def _target(name: Node, threads: Node) -> Target:
    count = threads.integer(1, 64)
    text = name.text()
    if text.startswith("host") or ":" in text:
        raise name.fail(f"{quote(text)} is not the name of a target")
    try:
        return resolve_target(text if count == 1 else f"{text}:threads={count}")
    except PockError as error:
        raise name.fail(error.diagnostics[0].message) from error


def _object(node: Node) -> StoredObject:
    name, kind, region, offset, dtype, shape, permute = node.fields(
        "name", "kind", "region", "offset", "dtype", "shape", "permute"
    )
    sizes = _shape(shape)
    order = tuple(item.integer() for item in permute.elements(MAX_RANK))
    if sorted(order) != list(range(len(sizes))):
        raise permute.fail(f"this should order {len(sizes)} axes")
    spec = TensorSpec(
        tuple(sizes[axis] for axis in order), dtype_named(dtype.choice(*_DTYPE_NAMES))
    )
    return StoredObject(
        name.text(),
        kind.choice(*OBJECT_KINDS),
        region.choice("state", "constants"),
        offset.integer(),
        spec,
        order,
    )


_DTYPE_NAMES = tuple(dtype.name for dtype in DTYPES)


def _shape(node: Node) -> tuple[int, ...]:
    sizes = tuple(item.integer(1) for item in node.elements(MAX_RANK))
    if prod(sizes) > MAX_FILE_BYTES:
        raise node.fail("too large")
    return sizes


def _entries(node: Node) -> tuple[Entry, ...]:
    entries = tuple(_entry(item) for item in node.elements(len(ENTRY_COMMENTS)))
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise node.fail("two entries have one name")
    return entries


def _entry(node: Node) -> Entry:
    name, kernels, ports = node.fields("name", "kernels", "ports")
    kernels.integer()
    calls: tuple[Call, ...] = ()
    return Entry(
        name.choice(*ENTRY_COMMENTS), tuple(_port(p) for p in ports.elements(MAX_ITEMS)), calls
    )


def _port(node: Node) -> Port:
    name, kind, dtype, shape = node.fields("name", "kind", "dtype", "shape")
    spec = TensorSpec(_shape(shape), dtype_named(dtype.choice(*_DTYPE_NAMES)))
    return Port(name.text(), kind.choice(*PORT_KINDS), spec)


def _check_objects(layout: ProgramLayout, node: Node) -> None:
    """Objects have unique names, lie within their regions and do not overlap."""
    names = [item.name for item in layout.objects]
    if len(set(names)) != len(names):
        raise node.fail("two objects have one name")
    for region, size in (("state", layout.state_bytes), ("constants", layout.constant_bytes)):
        items = layout.region(region)
        for item in items:
            if item.offset % OBJECT_ALIGNMENT or item.offset + item.spec.bytes > size:
                raise node.fail(f"{quote(item.name)} does not lie in the {size} bytes of {region}")
        for before, after in pairwise(items):
            if before.offset + before.spec.bytes > after.offset:
                raise node.fail(f"{quote(before.name)} and {quote(after.name)} overlap")


_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}")


def _checksums(node: Node) -> dict[str, str]:
    sums: dict[str, str] = {}
    for path, item in node.items().items():
        if not _PATH.fullmatch(path) or ".." in path or len(path) > 255 or path == MANIFEST:
            raise node.fail(f"{quote(path)} is not a path of a program's file")
        if not re.fullmatch(r"[0-9a-f]{64}", item.text()):
            raise item.fail("this should be 64 hexadecimal digits")
        sums[path] = item.text()
    return sums


def read_files(root: Path, manifest: Manifest) -> dict[str, bytes]:
    """Every file that the manifest names, and the manifest itself.

    Raises PockError for each that is missing or has another checksum.
    """
    problems: list[Diagnostic] = []
    files = {MANIFEST: read_capped(root / MANIFEST, MAX_MANIFEST_BYTES, HELP)}
    for path, expected in manifest.sha256.items():
        try:
            files[path] = read_capped(root / path, MAX_FILE_BYTES)
        except PockError as error:
            problems += error.diagnostics
            continue
        if hashlib.sha256(files[path]).hexdigest() != expected:
            message = f"the file has changed: its checksum is not that of {MANIFEST}"
            problems.append(Diagnostic(message, str(root / path), "compile the program again"))
    if problems:
        raise PockError(*problems)
    return files


def _check_images(root: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    """The program has its parts, and its images are images of this program."""
    layout = manifest.layout
    name = layout.name
    sizes = {
        f"{name}.constants.bin": (blob.CONSTANTS, layout.constant_bytes),
        f"{name}.state.bin": (blob.STATE, layout.state_bytes),
    }
    for path in (*sizes, f"include/{name}.h", f"src/{name}.c"):
        if path not in files:
            raise PockError(Diagnostic(f"{quote(path)} is not listed", str(root / MANIFEST), HELP))
    for path, (kind, size) in sizes.items():
        try:
            image = blob.decode(files[path], kind, manifest.model_hash)
        except PockError as error:
            raise PockError(Diagnostic(error.diagnostics[0].message, str(root / path))) from error
        if len(image.payload) != size:
            message = f"the image holds {len(image.payload)} bytes, but {MANIFEST} says {size}"
            raise PockError(Diagnostic(message, str(root / path)))
