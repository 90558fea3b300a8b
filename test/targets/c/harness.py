"""Runs one kernel of a C target on arrays: builds the call, emits, compiles, loads or executes.

`call_of` makes a `kern.call` from an op and an epilogue; `run_kernel` returns the results as the
compiled kernel computes them. `batch` runs many kernels in one file, also under sanitizers.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import StringAttr, UnknownLoc
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.rewriter import InsertPoint

import pock_ir.targets.c  # noqa: F401  registers the targets
from pock_ir.build import Emitter
from pock_ir.dialects.kern import CallOp, YieldOp, updates_of
from pock_ir.interpret import evaluate_op
from pock_ir.op import AttributeLike, PockOp, ints
from pock_ir.target import Target, target_named
from pock_ir.targets.c.prelude import prelude
from pock_ir.types import Array, Tensor, dtype_of, shape_of, tensor

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

Epilogue = Callable[[Emitter, Sequence[SSAValue]], Sequence[SSAValue]]
"""Adds ops after the main op: (emitter, [*main results, *all arguments]) -> results."""


def call_of(
    kind: type[PockOp],
    operands: Sequence[Attribute],
    properties: dict[str, AttributeLike],
    epilogue: Epilogue | None = None,
    extra: Sequence[Attribute] = (),
    updates: Sequence[int] | None = None,
) -> CallOp:
    """A call whose body is one `kind` on `operands`, then `epilogue`, which may read `extra`."""
    types = [*operands, *extra]
    block = Block(arg_types=types)
    emit = Emitter(InsertPoint.at_end(block), UnknownLoc())
    main = emit.op(kind, *block.args[: len(operands)], **properties)
    results: Sequence[SSAValue] = list(main.results)
    if epilogue is not None:
        results = epilogue(emit, [*results, *block.args])
    emit.insert(YieldOp.create(operands=list(results)))
    outer = Block(arg_types=types)
    call = CallOp.of(list(outer.args), block, UnknownLoc(), updates)
    call.verify()
    return call


def choose(call: CallOp, name: str, target: Target) -> CallOp:
    """Give the call the kernel `name` of the target, with the reuses that it offers."""
    kernel = target.kernel(name)
    assert kernel.matches(call, target), f"{name} does not match"
    call.properties["kernel"] = StringAttr(name)
    return call


def text_of(call: CallOp, name: str, target: Target, symbol: str = "kernel") -> str:
    """A whole C file with the kernel of the call under the name `symbol`."""
    choose(call, name, target)
    return prelude(target) + "\n" + target.kernel(name).emit(call, target, symbol)


def random_arrays(call: CallOp, seed: int = 0) -> list[Array]:
    """Arrays for the call's operands: normal floats, small non-negative integers, random bools."""
    random = np.random.default_rng(seed)
    arrays: list[Array] = []
    for operand in call.operands:
        dtype, shape = dtype_of(operand), shape_of(operand)
        if dtype.is_float:
            arrays.append(random.standard_normal(shape).astype(dtype.numpy))
        else:
            limit = 2 if dtype.name == "i1" else 5
            arrays.append(random.integers(0, limit, shape).astype(dtype.numpy))
    return arrays


def reference(call: CallOp, arrays: Sequence[Array]) -> list[Array]:
    """The results by the ops' own meaning, computed in f64 where the operands are f32."""
    values: dict[SSAValue, Array] = {}
    for argument, array in zip(call.body.block.args, arrays, strict=True):
        values[argument] = array.astype(np.float64) if array.dtype == np.float32 else array
    for op in call.body.block.ops:
        args = [values[operand] for operand in op.operands]
        if isinstance(op, YieldOp):
            return args
        results = _evaluate(cast(PockOp, op), args)
        values.update(zip(op.results, results, strict=True))
    raise AssertionError("no terminator")


def _evaluate(op: PockOp, args: Sequence[Array]) -> list[Array]:
    if not op.operands:
        return [x.astype(np.float64) if x.dtype == np.float32 else x for x in evaluate_op(op, [])]
    with np.errstate(all="ignore"):
        outcome = op.evaluate(*args)
    return [np.asarray(outcome)] if isinstance(outcome, np.ndarray | np.generic) else list(outcome)


def aligned(shape: Sequence[int], dtype: Any, alignment: int = 64) -> Array:
    """An uninitialised array whose data begin at a multiple of `alignment` bytes."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(dtype).reshape(shape)


def _compile(source: str, flags: Sequence[str], suffix: str, compiler: str) -> Path:
    """Compile to a file in a folder shared by this process, once for the same text and flags."""
    key = hashlib.sha256(repr((source, flags, compiler)).encode()).hexdigest()[:20]
    folder = _folder()
    result, text = folder / f"{key}{suffix}", folder / f"{key}.c"
    if not result.exists():
        text.write_text(source)
        command = [compiler, *STRICT, *flags, str(text), "-o", str(result), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
    return result


@cache
def _holder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pock-kernels-")


def _folder() -> Path:
    return Path(_holder().name)


def library(
    call: CallOp,
    name: str,
    target: Target,
    compiler: str = "gcc",
    optimize: str = "-O3",
) -> ctypes.CDLL:
    """The kernel as a loaded library with the function `run(operands, results, scratch, part)`."""
    source = text_of(call, name, target) + _wrapper(call)
    flags = (optimize, "-fPIC", "-shared", *target.compile_flags)
    return ctypes.CDLL(str(_compile(source, flags, ".so", compiler)))


def _wrapper(call: CallOp) -> str:
    names = [f"a[{i}]" for i in range(len(call.operands))]
    names += [f"r[{i}]" for i in range(len(call.results))]
    return f"""
void run(void **a, void **r, unsigned char *scratch, int part);
void run(void **a, void **r, unsigned char *scratch, int part)
{{
    kernel({", ".join([*names, "scratch", "part"])});
}}
"""


def buffers(
    call: CallOp, arrays: Sequence[Array], reuses: Sequence[int] = ()
) -> tuple[list[Array], list[Array]]:
    """Aligned operands, and result buffers full of NaN or shared as `updates` and `reuses` say."""
    operands: list[Array] = []
    for array in arrays:
        operands.append(aligned(array.shape, array.dtype))
        operands[-1][...] = array
    results: list[Array] = []
    places = [max(pair) for pair in zip(updates_of(call), reuses or ints(call.reuses), strict=True)]
    for value, place in zip(call.results, places, strict=True):
        if place >= 0:
            results.append(operands[place])
            continue
        result = aligned(shape_of(value), dtype_of(value).numpy)
        result.reshape(-1).view(np.uint8)[...] = 0xFF
        results.append(result)
    return operands, results


def run_kernel(
    call: CallOp,
    name: str,
    target: Target | str,
    arrays: Sequence[Array],
    compiler: str = "gcc",
    optimize: str = "-O3",
    backwards: bool = False,
) -> list[Array]:
    """The results of the compiled kernel; its parts run in order, or `backwards`."""
    target = target_named(target) if isinstance(target, str) else target
    run = library(call, name, target, compiler, optimize).run
    operands, results = buffers(call, arrays)
    kernel = target.kernel(name)
    scratch = aligned([kernel.scratch_bytes(call, target)], np.uint8)
    scratch[...] = 0xFF
    order = list(range(kernel.parts(call, target)))
    for part in reversed(order) if backwards else order:
        run(_pointers(operands), _pointers(results), ctypes.c_void_p(scratch.ctypes.data), part)
    return results


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def relative_error(found: Array, wanted: Array) -> float:
    """The largest difference, relative to the largest finite magnitude that is wanted.

    NaN and infinities agree with themselves only.
    """
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    if wanted.size == 0:
        return 0.0
    have, wide = found.astype(np.float64), wanted.astype(np.float64)
    scale = float(np.max(np.abs(wide[np.isfinite(wide)]), initial=0.0)) or 1.0
    same = (have == wide) | (np.isnan(have) & np.isnan(wide))
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.where(same, 0.0, have - wide))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference))) / scale


def f32(*shape: int) -> Tensor:
    """tensor<...xf32>"""
    return tensor(shape)
