"""What can be said of a `.keras` file before Keras reads it; nothing here needs Keras.

A `.keras` file is a zip archive with the model as JSON and its weights beside it. Python code can
stand in it: Lambda layers hold marshalled functions, which only a trusted file may bring.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote

SUFFIX = ".keras"
CONFIG = "config.json"
HDF5 = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file."""

MAX_BYTES = 1 << 36
"""The most bytes that a file may unpack to."""

MAX_CONFIG_BYTES = 1 << 28

HELP_SAVE = f'load it in Keras, and save it again with model.save("model{SUFFIX}")'
HELP_CODE = (
    "use a layer instead; of a file that you trust, give the model that "
    "pock.keras.load(path, safe_mode=False) returns"
)


def check_archive(file: Path, safe_mode: bool = True) -> None:
    """Raise PockError unless `file` is a .keras archive that Keras may read.

    safe_mode: also refuse Python code in it, naming every layer that holds some.
    """
    _check_kind(file)
    config = _config(file)
    if safe_mode:
        problems = DiagnosticCollector()
        for name in _with_code(config):
            message = f"the Lambda layer {quote(name)} holds Python code, which a file cannot bring"
            problems.add(message, str(file), HELP_CODE)
        problems.raise_if_any()


def _check_kind(file: Path) -> None:
    if file.is_dir():
        message = f"{quote(str(file))} is a folder, not a {SUFFIX} file"
        raise PockError(Diagnostic(message, help=f"of a SavedModel: {HELP_SAVE}"))
    try:
        with file.open("rb") as opened:
            start = opened.read(len(HDF5))
    except FileNotFoundError:
        raise PockError(f"cannot read {quote(str(file))}: no such file") from None
    except OSError as error:
        raise PockError(f"cannot read {quote(str(file))}: {error.strerror or error}") from error
    if start == HDF5:
        message = f"{quote(str(file))} is an HDF5 file, the older format of Keras"
        raise PockError(Diagnostic(message, help=HELP_SAVE))
    if not start:
        raise PockError(Diagnostic(f"{quote(str(file))} is empty", help=f"give a {SUFFIX} file"))
    if file.suffix != SUFFIX:
        message = f"{quote(str(file))} is not called *{SUFFIX}, which Keras asks for"
        raise PockError(Diagnostic(message, help=f"give a {SUFFIX} file"))


def _config(file: Path) -> Any:
    """The model's description. Raises PockError if the archive has none, or is too large."""
    where = quote(str(file))
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry.file_size for entry in archive.infolist()}
            if CONFIG not in entries:
                message = f"{where} is not a {SUFFIX} file: it holds no {CONFIG}"
                raise PockError(Diagnostic(message, help=HELP_SAVE))
            if sum(entries.values()) > MAX_BYTES or entries[CONFIG] > MAX_CONFIG_BYTES:
                size = f"{sum(entries.values())} bytes, {entries[CONFIG]} of them {CONFIG}"
                limit = f"the limits are {MAX_BYTES} and {MAX_CONFIG_BYTES}"
                raise PockError(f"{where} unpacks to {size}; {limit}")
            return json.loads(archive.read(CONFIG))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        message = f"{where} is not a {SUFFIX} file: {error}"
        raise PockError(Diagnostic(message, help=HELP_SAVE)) from error
    except ValueError as error:  # of JSON or of UTF-8; RecursionError is a RuntimeError
        raise PockError(f"{where} is damaged: its {CONFIG} is not JSON: {error}") from error


def _with_code(config: Any) -> Iterator[str]:
    """The names of the Lambda layers whose function is stored as code."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += reversed(value)
        elif isinstance(value, dict):
            inner = value.get("config")
            if value.get("class_name") == "Lambda" and isinstance(inner, dict):
                yield from _code_of(inner)
            left += reversed(list(value.values()))


def _code_of(layer: dict[str, Any]) -> Iterator[str]:
    function = layer.get("function")
    if isinstance(function, dict) and function.get("class_name") == "__lambda__":
        yield str(layer.get("name", "lambda"))
