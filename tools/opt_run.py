"""`pock-opt --run`: interpret a function on given or random inputs."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from pock.tools.opt_arguments import Arguments
from pock_ir.diagnostics import PockError, quote
from pock_ir.lowering.execute import execute, input_slots, random_inputs
from pock_ir.types import Array, dtype_of_numpy

MAX_INPUT_BYTES = 1 << 32
"""The most bytes of arrays that one .npz file may unpack to."""

MAX_ARRAYS = 100_000


def run_text(module: ModuleOp, options: Arguments) -> str:
    """The results of `options.run` on one module, as text; writes them where asked.

    Raises PockError if the function, the inputs or the output file cannot be used.
    """
    assert options.run is not None
    named = random_inputs(module, options.run, options.seed)
    if options.inputs is not None:
        given = read_arrays(options.inputs)
        known = {slot.key for slot in input_slots(module, options.run)}
        known |= {key.partition(":")[2] for key in known}
        for name in given:
            if name not in known:
                raise PockError(f"@{options.run} has no input {quote(name)}")
        named = {key: given.get(key, given.get(_name(key), array)) for key, array in named.items()}
    results = execute(module, options.run, named)
    if options.results is not None:
        write_arrays(options.results, results)
    show = _values if options.values else digest
    return "".join(f"{key}: {show(array)}\n" for key, array in results.items())


def _name(key: str) -> str:
    return key.partition(":")[2]


def digest(array: Array) -> str:
    """Dtype, shape, norm and a hash of the bytes."""
    dtype = dtype_of_numpy(array.dtype)
    norm = float(np.linalg.norm(array.astype(np.float64)))
    short = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
    return f"{dtype.name}{list(array.shape)} norm {norm:.6g} sha256 {short}"


def _values(array: Array) -> str:
    text = np.array2string(array, threshold=1 << 20, separator=", ", max_line_width=100)
    return f"{dtype_of_numpy(array.dtype).name}{list(array.shape)} = {text}"


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file by name; nothing in it is unpickled.

    Raises PockError if the file cannot be read, is malformed or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > MAX_INPUT_BYTES or len(entries) > MAX_ARRAYS:
                raise PockError(
                    f"{quote(path)} unpacks to {size} bytes; the limit is {MAX_INPUT_BYTES}"
                )
            return {
                entry.filename.removesuffix(".npy"): _read_array(archive, entry, path)
                for entry in entries
            }
    except OSError as error:
        raise PockError(f"cannot read {quote(path)}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise PockError(f"{quote(path)} is not an .npz file: {error}") from error


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Array:
    try:
        data = io.BytesIO(archive.read(entry))
        array = np.lib.format.read_array(data, allow_pickle=False)
        dtype_of_numpy(array.dtype)
    except KeyError as error:
        raise PockError(
            f"{quote(path)}: {quote(entry.filename)}: {array.dtype} is not supported"
        ) from error
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise PockError(f"{quote(path)}: {quote(entry.filename)}: {reason}") from error
    return array


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
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
