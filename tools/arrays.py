"""Arrays in .npz files: nothing is unpickled, sizes are capped, writing is whole or not at all."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pock_ir.diagnostics import PockError, quote
from pock_ir.types import Array, dtype_of_numpy

MAX_INPUT_BYTES = 1 << 36
"""The most bytes of arrays that one .npz file may unpack to."""

MAX_ARRAYS = 100_000


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file by name; nothing in it is unpickled.

    Raises PockError if the file cannot be read, is malformed or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > MAX_INPUT_BYTES or len(entries) > MAX_ARRAYS:
                limit = f"the limits are {MAX_ARRAYS} arrays of {MAX_INPUT_BYTES} bytes"
                raise PockError(f"{quote(path)} unpacks to {len(entries)} of {size}; {limit}")
            return {
                entry.filename.removesuffix(".npy"): _read_array(archive, entry, path)
                for entry in entries
            }
    except OSError as error:
        raise PockError(f"cannot read {quote(path)}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise PockError(f"{quote(path)} is not an .npz file: {error}") from error


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Array:
    where = f"{quote(path)}: {quote(entry.filename)}"
    try:
        array = np.lib.format.read_array(io.BytesIO(archive.read(entry)), allow_pickle=False)
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise PockError(f"{where}: {' '.join(str(error).split())}") from error
    try:
        dtype_of_numpy(array.dtype)
    except KeyError as error:
        raise PockError(f"{where}: element type {array.dtype} is not supported") from error
    return array


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an .npz file, whole or not at all. Raises PockError if that is not possible."""
    from pock.program import write_file

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, allow_pickle=False)
            # A fixed date, so that equal results give equal files.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue())
    write_file(path, buffer.getvalue())
