"""`pock-opt --run`: interpret a function on given or random inputs."""

from __future__ import annotations

import hashlib

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from pock.tools.arrays import read_arrays, write_arrays
from pock.tools.opt_arguments import Arguments
from pock_ir.diagnostics import PockError, quote
from pock_ir.lowering.execute import execute, input_slots, random_inputs
from pock_ir.types import Array, dtype_of_numpy


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
