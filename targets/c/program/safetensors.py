"""The .safetensors file that the program exports: its header is known at compile time."""

from __future__ import annotations

import json
import struct

from pock_ir.targets.c.program.layout import ProgramLayout

# The format's names of the dtypes that pock carries.
DTYPE_NAMES = {
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


def export_header(layout: ProgramLayout) -> bytes:
    """The file's first bytes: u64 length and a JSON header, padded to 8 bytes with spaces."""
    table: dict[str, object] = {}
    offset = 0
    for item in layout.exported():
        end = offset + item.spec.bytes
        table[item.name] = {
            "dtype": DTYPE_NAMES[item.spec.dtype.name],
            "shape": list(item.framework_shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(table, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def export_bytes(layout: ProgramLayout) -> int:
    """Size of the whole exported file in bytes."""
    return len(export_header(layout)) + sum(item.spec.bytes for item in layout.exported())
