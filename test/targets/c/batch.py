"""Many kernels in one C file: compiled once, run one after the other.

Each case is a call with the arrays that it runs on. `run_batch` loads the file as a library,
`run_batch_sanitized` makes a program of it with ASan and UBSan.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import SANITIZE, _compile, buffers, choose

from pock_ir.dialects.kern import CallOp, updates_of
from pock_ir.op import attribute, ints
from pock_ir.target import Target
from pock_ir.targets.c.prelude import prelude
from pock_ir.types import Array


@dataclass(frozen=True)
class Case:
    """One call, the kernel that shall run it, and its operands."""

    id: str
    call: CallOp
    kernel: str
    arrays: Sequence[Array]
    in_place: bool = False


def _prepared(case: Case, target: Target) -> CallOp:
    call = choose(case.call, case.kernel, target)
    none = [-1] * len(call.results)
    places = target.kernel(case.kernel).reuses(call, target) if case.in_place else none
    call.properties["reuses"] = attribute(list(places))
    return call


def batch_text(cases: Sequence[Case], target: Target) -> str:
    """One C file with kernel number i of `cases` as `run<i>(operands, results, scratch, part)`."""
    parts = [prelude(target)]
    for number, case in enumerate(cases):
        call = _prepared(case, target)
        parts.append(target.kernel(case.kernel).emit(call, target, f"kernel{number}"))
        names = [f"a[{i}]" for i in range(len(call.operands))]
        names += [f"r[{i}]" for i in range(len(call.results))]
        head = f"void run{number}(void **a, void **r, unsigned char *scratch, int part)"
        unused = "" if call.operands else "(void)a; "
        body = f"{{ {unused}kernel{number}({', '.join([*names, 'scratch', 'part'])}); }}"
        parts.append(f"{head};\n{head}\n{body}\n")
    return "\n".join(parts)


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))


def run_batch(
    cases: Sequence[Case],
    target: Target,
    compiler: str = "gcc",
    optimize: str = "-O2",
    backwards: bool = False,
) -> list[list[Array]]:
    """The results of every case; parts run in order, or `backwards`."""
    flags = (optimize, "-fPIC", "-shared", *target.compile_flags)
    library = ctypes.CDLL(str(_compile(batch_text(cases, target), flags, ".so", compiler)))
    found: list[list[Array]] = []
    for number, case in enumerate(cases):
        call, kernel = case.call, target.kernel(case.kernel)
        operands, results = buffers(call, case.arrays)
        scratch = np.full(kernel.scratch_bytes(call, target) + 64, 0xFF, np.uint8)
        start = -scratch.ctypes.data % 64
        order = list(range(kernel.parts(call, target)))
        for part in reversed(order) if backwards else order:
            pointer = ctypes.c_void_p(scratch.ctypes.data + start)
            getattr(library, f"run{number}")(_pointers(operands), _pointers(results), pointer, part)
        found.append(results)
    return found


def run_batch_sanitized(
    cases: Sequence[Case], target: Target, compiler: str = "gcc"
) -> list[list[Array]]:
    """`run_batch` in a program with ASan and UBSan, with buffers of exactly the tensors' sizes."""
    source = [_POSIX, batch_text(cases, target), _READ]
    data, shells = b"", []
    body = ["int main(void)", "{"]
    for number, case in enumerate(cases):
        kernel = target.kernel(case.kernel)
        operands, results = buffers(case.call, case.arrays)
        shells.append(results)
        data += b"".join(array.tobytes() for array in operands)
        body += _case_lines(
            number, case, operands, results, kernel.scratch_bytes(case.call, target)
        )
        body.append(f"    for (int part = 0; part < {kernel.parts(case.call, target)}; part++)")
        body.append(f"        run{number}(a, r, scratch, part);")
        body += [f"    put(r[{i}], {result.nbytes});" for i, result in enumerate(results)]
        places = [max(p) for p in zip(updates_of(case.call), ints(case.call.reuses), strict=True)]
        body += [f"    free(r[{i}]);" for i, place in enumerate(places) if place < 0]
        body += [f"    free(a[{i}]);" for i in range(len(operands))] + ["    free(scratch); }"]
    source += [*body, "    return 0;", "}", ""]
    flags = (*SANITIZE, *target.compile_flags)
    program = _compile("\n".join(source), flags, ".exe", compiler)
    done = subprocess.run([str(program)], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:4000]
    offset = 0
    for results in shells:
        for result in results:
            piece = done.stdout[offset : offset + result.nbytes]
            result[...] = np.frombuffer(piece, result.dtype).reshape(result.shape)
            offset += result.nbytes
    return shells


_POSIX = "#define _POSIX_C_SOURCE 200112L"
_READ = """
#include <stdio.h>
#include <stdlib.h>

static void *allocate(size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, size))
        exit(2);
    return p;
}

static void *get(size_t size)
{
    void *p = allocate(size);
    if (size && fread(p, 1, size, stdin) != size)
        exit(1);
    return p;
}

static void put(const void *p, size_t size)
{
    fwrite(p, 1, size, stdout);
}
"""


def _case_lines(
    number: int, case: Case, operands: Sequence[Array], results: Sequence[Array], scratch: int
) -> list[str]:
    places = [max(p) for p in zip(updates_of(case.call), ints(case.call.reuses), strict=True)]
    lines = [f"    {{ void *a[{max(1, len(operands))}] = {{0}}, *r[{len(results)}]; /* {number} */"]
    lines += [f"    a[{i}] = get({array.nbytes});" for i, array in enumerate(operands)]
    for i, (result, place) in enumerate(zip(results, places, strict=True)):
        value = f"a[{place}]" if place >= 0 else f"allocate({result.nbytes})"
        lines.append(f"    r[{i}] = {value};")
    lines.append(f"    unsigned char *scratch = allocate({scratch});")
    return lines
