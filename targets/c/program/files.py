"""All files of a generated program, as a mapping from relative path to contents.

Nothing in them depends on the time, the directory, the locale or the machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pock_ir import VERSION
from pock_ir.targets.c.prelude import prelude
from pock_ir.targets.c.program.api import template
from pock_ir.targets.c.program.header import header_text
from pock_ir.targets.c.program.images import initial_images
from pock_ir.targets.c.program.layout import Entry, ProgramLayout
from pock_ir.targets.c.program.source import (
    compile_flags,
    main_text,
    source_text,
    threads_texts,
)
from pock_ir.targets.c.program.text import fill
from pock_ir.types import Array

MANIFEST_VERSION = 1


def program_files(
    layout: ProgramLayout, weights: Mapping[str, Array], seed: int
) -> dict[str, bytes]:
    """Sources, headers, images, example and build file of a program.

    weights: arrays under the framework's names; seed: the initial seed of dropout. Raises
    PockError if a weight is missing or does not fit.
    """
    constants, state, hash = initial_images(layout, weights, seed)
    name = layout.name
    texts = {
        f"include/{name}.h": header_text(layout, hash),
        f"src/{name}.c": source_text(layout, hash, VERSION, prelude(layout.target)),
        **threads_texts(layout),
        **_example(layout),
        "Makefile": _makefile(layout),
    }
    files = {path: text.encode() for path, text in texts.items()}
    files[f"{name}.constants.bin"] = constants
    files[f"{name}.state.bin"] = state
    return files


def _example(layout: ProgramLayout) -> dict[str, str]:
    if layout.entry("train_step") is None:
        return {}
    return {"examples/host/main.c": main_text(layout)}


def source_paths(layout: ProgramLayout) -> tuple[str, ...]:
    """The C files that make up the library, relative to the program's folder."""
    threads = [path for path in threads_texts(layout) if path.endswith(".c")]
    return (f"src/{layout.name}.c", *threads)


def _makefile(layout: ProgramLayout) -> str:
    threaded = layout.target.threads > 1
    values = {
        "name": layout.name,
        "SOURCES": " ".join(source_paths(layout)),
        "FLAGS": " ".join(compile_flags(layout)),
        "LINK": "-lm -pthread" if threaded else "-lm",
    }
    return fill(template("Makefile.in"), values)


def manifest(layout: ProgramLayout, files: Mapping[str, bytes], hash: bytes) -> dict[str, Any]:
    """What `pock.json` says of the program: sizes, entry points, layout of the state, checksums."""
    return {
        "schema": MANIFEST_VERSION,
        "pock": VERSION,
        "name": layout.name,
        "target": layout.target.name,
        "threads": layout.target.threads,
        "model_hash": hash.hex(),
        "arena_bytes": layout.arena_bytes,
        "state_bytes": layout.state_bytes,
        "constant_bytes": layout.constant_bytes,
        "compile_flags": list(compile_flags(layout)),
        "entries": [_entry(entry) for entry in layout.entries],
        "objects": [
            {
                "name": item.name,
                "kind": item.kind,
                "region": item.region,
                "offset": item.offset,
                "dtype": item.spec.dtype.name,
                "shape": list(item.framework_shape),
                "permute": list(item.permute),
            }
            for item in layout.objects
        ],
        "aliases": layout.aliases,
        "sha256": {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)},
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kernels": len(entry.calls),
        "ports": [
            {
                "name": port.name,
                "kind": port.kind,
                "dtype": port.spec.dtype.name,
                "shape": list(port.spec.shape),
            }
            for port in entry.ports
        ],
    }


def json_bytes(value: Any) -> bytes:
    """Deterministic JSON, for people and programs to read."""
    return (json.dumps(value, indent=2, ensure_ascii=True) + "\n").encode()
