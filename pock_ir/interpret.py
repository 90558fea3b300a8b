"""The reference interpreter: runs a function of any level down to buffers, with numpy.

Every op brings its own `evaluate`; this driver only walks the block and frees values after their
last use, so that peak memory is that of the live set and not of the whole graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsTerminator

from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.location import location_of
from pock_ir.op import PockOp
from pock_ir.types import Array, Tensor, dtype_of

Trace = Callable[[Operation, Sequence[Array]], None]


def find_function(module: ModuleOp, name: str) -> FuncOp:
    """The function called `name`; raises PockError if the module has none."""
    for op in module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == name:
            return op
    raise PockError(f"the module has no function @{name}")


def run_function(
    module: ModuleOp, name: str, inputs: Sequence[Array], trace: Trace | None = None
) -> list[Array]:
    """Run function `name` on `inputs` (one array per argument) and return its results.

    `trace` is called after each op with its results. Raises PockError if the number, shape or
    dtype of the inputs does not fit, or if an op has no reference semantics.
    """
    function = find_function(module, name)
    _check_inputs(function, inputs)
    return run_block(function.body.block, inputs, trace)


def run_block(block: Block, inputs: Sequence[Array], trace: Trace | None = None) -> list[Array]:
    """Run the ops of `block` and return the operands of its terminator."""
    values: dict[SSAValue, Array] = dict(zip(block.args, inputs, strict=True))
    last_use = _last_uses(block)
    for op in block.ops:
        args = [values[operand] for operand in op.operands]
        if op.has_trait(IsTerminator) or isinstance(op, ReturnOp):
            return args
        results = evaluate_op(op, args)
        values.update(zip(op.results, results, strict=True))
        if trace is not None:
            trace(op, results)
        for operand in last_use.get(op, ()):
            del values[operand]
    return []


def evaluate_op(op: Operation, args: Sequence[Array]) -> list[Array]:
    """The results of one op as arrays of exactly the result types' dtypes and shapes."""
    if not isinstance(op, PockOp):
        raise PockError(Diagnostic(f"{op.name} has no reference semantics", location_of(op)))
    with np.errstate(all="ignore"):
        outcome = op.evaluate(*args)
    results = [outcome] if isinstance(outcome, np.ndarray | np.generic) else list(outcome)
    return [_typed(op, array, value) for array, value in zip(results, op.results, strict=True)]


def _typed(op: Operation, array: Array, value: SSAValue) -> Array:
    type = value.type
    if not hasattr(type, "get_shape"):
        return array
    shape = tuple(cast(Tensor, type).get_shape())
    if tuple(np.shape(array)) != shape:
        raise AssertionError(f"{op.name} evaluated to shape {np.shape(array)}, not {shape}")
    return np.asarray(array, dtype=dtype_of(type).numpy)


def _last_uses(block: Block) -> dict[Operation, list[SSAValue]]:
    """For each op, the values of this block that no later op reads (nor an op inside one)."""
    owner: dict[SSAValue, Operation] = {}
    for op in block.ops:
        for value in op.results:
            owner[value] = op
        for operand in op.operands:
            owner[operand] = op
    released: dict[Operation, list[SSAValue]] = {}
    for value, op in owner.items():
        released.setdefault(op, []).append(value)
    return released


def _check_inputs(function: FuncOp, inputs: Sequence[Array]) -> None:
    arguments = function.body.block.args
    name = function.sym_name.data
    if len(inputs) != len(arguments):
        raise PockError(f"@{name} takes {len(arguments)} arguments, not {len(inputs)}")
    for index, (array, argument) in enumerate(zip(inputs, arguments, strict=True)):
        type = cast(Tensor, argument.type)
        found = f"{tuple(array.shape)} {array.dtype}"
        wanted = f"{tuple(type.get_shape())} {dtype_of(type).numpy}"
        if found != wanted:
            raise PockError(f"@{name} argument {index} should be {wanted}, not {found}")
