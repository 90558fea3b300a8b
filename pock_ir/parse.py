"""The guarded entry for IR text: a valid module, or PockError with file, line and column.

xDSL's parser lets exceptions of a dozen types escape, hangs on short inputs and accepts
invalid modules. Everything that reads IR text from outside goes through here.
"""

import os
import stat
from io import StringIO
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError

from pock_ir.compat import DEFAULT_LIMITS, HardenedParser, Limits
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.location import describe_location
from pock_ir.verify import explain, verify_module

_BYTECODE_MAGIC = b"ML\xefR"


def parse_module(
    ctx: Context, text: str, name: str = "<input>", limits: Limits = DEFAULT_LIMITS
) -> ModuleOp:
    """Parse and verify a module; an op without `loc(...)` is located in `text`.

    name: what locations call the text, normally its file name.
    Raises PockError, and nothing else, if the text is malformed, does not verify, uses a value
    where it is not defined, or exceeds one of `limits`.
    """
    _check_text(text, name, limits)
    module = _parse(ctx, text, name, limits)
    verify_module(module)
    return module


def read_module(
    ctx: Context, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS
) -> ModuleOp:
    """Parse and verify the module in the file at `path`.

    Raises PockError as `parse_module` does, and if the file is missing, unreadable, not a
    regular file, too large, binary, or not UTF-8.
    """
    return parse_module(ctx, read_text(path, limits), os.fspath(path), limits)


def read_text(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> str:
    """The text of the file at `path`, unparsed. Raises PockError as `read_module` does for it."""
    name = os.fspath(path)
    return _decode(_read(name, limits), name)


def decode_text(content: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """IR text from bytes that did not come from a file. Raises PockError as `read_module`."""
    if len(content) > limits.characters:
        raise _error(name, f"longer than {limits.characters} bytes")
    return _decode(content, name)


def print_module(module: Operation, *, locations: bool = False, generic: bool = False) -> str:
    """The text of `module`; equal modules give equal text, in every process.

    locations: print `loc(...)` behind each op and block argument. Parsing the text gives back
        each op's location; those of some upstream ops' block arguments need `generic` as well.
    generic: print the form that needs no knowledge of the dialects.
    """
    stream = StringIO()
    printer = Printer(stream, print_generic_format=generic, print_debuginfo=locations)
    printer.print_op(module)
    return stream.getvalue() + "\n"


def _check_text(text: str, name: str, limits: Limits) -> None:
    if len(text) > limits.characters:
        raise _error(name, f"longer than {limits.characters} characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _error(_place(text, name, error.start), "half of a surrogate pair") from None


def _parse(ctx: Context, text: str, name: str, limits: Limits) -> ModuleOp:
    parser: HardenedParser | None = None
    try:
        parser = HardenedParser(ctx, text, name, limits)
        return parser.parse_module()
    except ParseError as error:
        raise _error(str(error.span.get_location()), explain_parse_error(error)) from None
    except RecursionError:
        message = "nested too deeply"
    except Exception as error:  # xDSL lets KeyError, OverflowError and others escape
        message = explain(error)
    place = None if parser is None else describe_location(parser.location_at())
    raise _error(place or name, message)


def explain_parse_error(error: ParseError) -> str:
    """One line of text for a parse error, without the source lines that xDSL quotes."""
    return " ".join(error.msg.split()) or "malformed text"


def _read(name: str, limits: Limits) -> bytes:
    try:
        # Asked before opening: opening a pipe waits, and a device may never end.
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise _error(name, "not a regular file")
        with Path(name).open("rb") as file:
            content = file.read(limits.characters + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PockError(f"cannot read {quote(name)}: {reason}") from None
    if len(content) > limits.characters:
        raise _error(name, f"longer than {limits.characters} bytes")
    return content


def _decode(content: bytes, name: str) -> str:
    if content.startswith(_BYTECODE_MAGIC):
        raise _error(name, "MLIR bytecode", "convert it with `mlir-opt` to text")
    if b"\0" in content:
        raise _error(name, "a binary file, not IR text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise _error(_place(before, name, len(before)), "not valid UTF-8") from None


def _place(text: str, name: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"{name}:{line}:{column}"


def _error(location: str, message: str, help: str | None = None) -> PockError:
    return PockError(Diagnostic(message, location, help))
