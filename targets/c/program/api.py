"""State handling of a generated program: init, load, save, reset and export, as C text."""

from __future__ import annotations

from importlib import resources

from pock_ir.targets.c.program.layout import ProgramLayout, StoredObject
from pock_ir.targets.c.program.safetensors import export_header
from pock_ir.targets.c.program.text import c_string, comment, fill

TABLES = """\
/* Spans of the state that belong to the optimizer. */
static const struct {
  size_t offset;
  size_t size;
} optimizer_spans[] = {
@SPANS@};

/* The tensors that are exported: place, elements, bytes per element, shape in the framework's
   layout and the stored stride of each axis. */
struct exported {
  size_t offset, count, element;
  unsigned rank;
  size_t shape[@RANK@], stride[@RANK@];
};

#define EXPORT_COUNT ((size_t)@COUNT@)
static const struct exported exported[] = {
@ROWS@};

static const char export_header[] =
@HEADER@;
"""

HEADER_CHUNK = 96
"""Bytes per line of the exported file's header: compilers limit the length of one literal."""


def template(name: str) -> str:
    """The text of a file in `templates/`."""
    folder = resources.files("pock_ir.targets.c.program") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def tables_text(layout: ProgramLayout) -> str:
    """The tables that the state functions read."""
    exported = layout.exported()
    rank = max([1, *(len(item.permute) for item in exported)])
    values = {
        "SPANS": _spans(layout) or "    {0, 0},\n",
        "RANK": str(rank),
        "COUNT": str(len(exported)),
        "ROWS": "".join(_row(item) for item in exported) or "    {0, 0, 0, 0, {0}, {0}},\n",
        "HEADER": _header_literal(export_header(layout)),
    }
    return fill(TABLES, values)


def state_functions_text(layout: ProgramLayout, hash: bytes, version: str) -> str:
    """The functions that handle state, and the public ones that need no schedule."""
    values = {
        "name": layout.name,
        "NAME": layout.name.upper(),
        "HASH_BYTES": ", ".join(f"0x{byte:02x}" for byte in hash),
        "RATE": f"{float(layout.rate).hex()}f" if layout.rate else "0.0f",
        "VERSION": version,
    }
    return fill(template("api.c.in"), values)


def _spans(layout: ProgramLayout) -> str:
    return "".join(
        f"    {{{item.offset}u, {item.spec.bytes}u}}, /* {comment(item.name)} */\n"
        for item in layout.region("state")
        if item.kind == "state"
    )


def _row(item: StoredObject) -> str:
    shape = item.framework_shape
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(range(len(shape))):
        strides[item.permute[axis]] = step
        step *= item.spec.shape[axis]
    joined_shape = ", ".join(f"{extent}u" for extent in shape) or "0"
    joined_strides = ", ".join(f"{stride}u" for stride in strides) or "0"
    return (
        f"    {{{item.offset}u, {item.spec.values}u, {item.spec.dtype.bytes}u, {len(shape)}u,"
        f" {{{joined_shape}}}, {{{joined_strides}}}}}, /* {comment(item.name)} */\n"
    )


def _header_literal(header: bytes) -> str:
    chunks = [header[i : i + HEADER_CHUNK] for i in range(0, len(header), HEADER_CHUNK)]
    return "\n".join(f'    "{c_string(chunk)}"' for chunk in chunks)
