"""Run memory-level functions in the reference interpreter, on one byte array per region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from pock_ir.compat import linear_symbol_lookup
from pock_ir.diagnostics import PockError, quote
from pock_ir.dialects import mem
from pock_ir.interpret import find_function, run_function
from pock_ir.op import integer, text
from pock_ir.passes.signature import Attributes, argument_attributes, kind_of
from pock_ir.types import Array, dtype_of, shape_of

OUTPUT_KINDS = mem.OUTPUT_KINDS

Image = dict[str, Array]
"""The bytes of each region, by name."""


def image_of(module: ModuleOp, values: Mapping[str, Array]) -> Image:
    """Regions that hold `values`, by label; the rest is filled with bytes that show as wrong.

    Raises PockError if an object of the module has no value, or one of another shape or dtype.
    """
    image = {name: np.full(_region_bytes(module, name), -1, np.int8) for name in mem.REGIONS}
    for op in mem.objects(module):
        label = text(op.label)
        value = values.get(label)
        if value is None:
            raise PockError(f"no value is given for {text(op.kind)} {quote(label)}")
        place = object_in(image, op)
        if (value.shape, value.dtype) != (place.shape, place.dtype):
            found, wanted = f"{value.shape} {value.dtype}", f"{place.shape} {place.dtype}"
            raise PockError(f"{text(op.kind)} {quote(label)} should be {wanted}, not {found}")
        place[...] = value
    return image


def object_in(image: Image, op: mem.ObjectOp) -> Array:
    """The array of one object inside its region; writing to it changes the region."""
    begin = integer(op.offset)
    piece = image[text(op.region)][begin : begin + op.bytes]
    return piece.view(dtype_of(op.type).numpy).reshape(shape_of(op.type))


def objects_in(module: ModuleOp, image: Image) -> dict[str, Array]:
    """A copy of every object, by label."""
    return {text(op.label): object_in(image, op).copy() for op in mem.objects(module)}


def run_in_memory(
    module: ModuleOp, name: str, image: Image, inputs: Sequence[Array]
) -> list[Array]:
    """Run function `name` once on `inputs`, the caller's arrays in order; returns its outputs.

    The regions of `image` change as the device's memory would.
    """
    given = iter(inputs)
    arguments: list[Array] = []
    outputs: list[Array] = []
    for value, entry in _arguments(find_function(module, name)):
        kind = kind_of(entry)
        if kind in image:
            arguments.append(image[kind])
        elif kind in mem.OUTPUT_KINDS:
            type = mem.tensor_of(value.type)
            outputs.append(np.zeros(shape_of(type), dtype_of(type).numpy))
            arguments.append(outputs[-1])
        else:
            arguments.append(next(given))
    with linear_symbol_lookup():
        run_function(module, name, arguments)
    return outputs


def _arguments(function: FuncOp) -> list[tuple[SSAValue, Attributes]]:
    return list(zip(function.args, argument_attributes(function), strict=True))


def _region_bytes(module: ModuleOp, region: str) -> int:
    functions = (op for op in module.ops if isinstance(op, FuncOp))
    sizes = (
        mem.memory_bytes(value.type)
        for function in functions
        for value, entry in _arguments(function)
        if kind_of(entry) == region
    )
    return max(sizes, default=0)
