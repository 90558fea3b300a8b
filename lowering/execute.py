"""Run a function by name at any level down to buffers, and compare what two modules compute.

A value is known by a key, its kind and its framework name: "parameter:fc.weight", "input:x",
"state:momentum:fc.weight", "update:fc.weight"; what has no name is known by its kind, as "loss".
Arrays are in the framework's layout everywhere, so that the same inputs fit a function before and
after its layout, its memory or its gradients were decided.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import DictionaryAttr, MemRefType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, SSAValue

from pock_ir.compat import linear_symbol_lookup
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.dialects import kern, mem
from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.embedding import EmbeddingGradOp, EmbeddingOp
from pock_ir.dialects.loss import CrossEntropyGradOp, CrossEntropyOp
from pock_ir.dialects.shape import BroadcastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp
from pock_ir.interpret import find_function, run_function
from pock_ir.levels import LEVEL_ATTRIBUTE
from pock_ir.lowering.memory_image import object_in
from pock_ir.op import integer, ints, text
from pock_ir.passes.signature import (
    Attributes,
    argument_attributes,
    kind_of,
    name_of,
    result_attributes,
)
from pock_ir.types import Array, Tensor, dtype_of, dtype_of_numpy, num_bytes, shape_of

RUNNABLE = ("nn", "train", "kern", "mem")
"""Levels that run in the reference interpreter; what is below is tested by compiling it."""

TOLERANCE: Mapping[str, float] = {"f64": 1e-10, "f32": 1e-5, "f16": 1e-2, "bf16": 3e-2}
"""The largest relative difference, in the Euclidean norm, of two results; others are exact."""

NOISE = 1e-2
"""A result whose values are smaller than this is compared as if they were this large: gradients
that are zero but for rounding have no relative precision."""


class DifferenceError(PockError):
    """Two modules that should compute the same do not."""


@dataclass(frozen=True)
class Slot:
    """One named tensor that goes into a function or comes out of it.

    type: as stored; permute: stored tensor = framework tensor transposed by it.
    """

    key: str
    type: Tensor
    permute: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """In the framework's layout."""
        stored = shape_of(self.type)
        shape = [0] * len(stored)
        for axis, source in enumerate(self.permute):
            shape[source] = stored[axis]
        return tuple(shape)

    def stored(self, array: Array) -> Array:
        """A framework array as stored, contiguous. Raises PockError if it does not fit."""
        wanted = dtype_of(self.type)
        if array.shape != self.shape or array.dtype != wanted.numpy:
            raise PockError(
                f"{quote(self.key)} should be {wanted.numpy} of shape {self.shape}, "
                f"not {array.dtype} of shape {array.shape}"
            )
        return np.array(np.transpose(array, self.permute), order="C")

    def framework(self, stored: Array) -> Array:
        """A stored array in the framework's layout, copied."""
        return np.array(np.transpose(stored, np.argsort(self.permute)), order="C")


def key_of(entry: Attributes) -> str:
    """The key of an argument or result with these attributes."""
    kind, name = kind_of(entry), name_of(entry)
    return f"{kind}:{name}" if name else kind


def execute(module: ModuleOp, function: str, named: Mapping[str, Array]) -> dict[str, Array]:
    """Run `function` and return its results by key, in the framework's layout.

    named: an array for each of `input_slots`, by key, or by name alone where that is unambiguous.
    Raises PockError if the module's level does not run, the function is missing, or an array is
    missing or does not fit.
    """
    target = _runnable(module, function)
    if not _has_buffers(target):
        slots = input_slots(module, function)
        arrays = [slot.stored(_lookup(slot.key, named)) for slot in slots]
        results = run_function(module, function, arrays)
        outcome = zip(_result_slots(target), results, strict=True)
        return {slot.key: slot.framework(array) for slot, array in outcome}
    return _execute_on_buffers(module, target, named)


def input_slots(module: ModuleOp, function: str) -> list[Slot]:
    """What `function` reads, in order: arguments, or objects and the caller's buffers.

    Raises PockError as `execute` does.
    """
    target = _runnable(module, function)
    if not _has_buffers(target):
        return _unique([slot for slot, _ in _arguments(target)])
    objects = [_object_slot(item) for item in _objects(module, target, "pock.begin")]
    ports = [slot for slot, _ in _ports(target) if not _is_result(slot)]
    return _unique([*objects, *ports])


def _runnable(module: ModuleOp, function: str) -> FuncOp:
    level = module.attributes.get(LEVEL_ATTRIBUTE)
    if level is not None and text(level) not in RUNNABLE:
        known = ", ".join(RUNNABLE)
        raise PockError(
            Diagnostic(
                f"level {quote(text(level))} does not run in the interpreter",
                help=f"levels that do: {known}",
            )
        )
    return find_function(module, function)


def _unique(slots: list[Slot]) -> list[Slot]:
    """`slots`; raises PockError if two of them share a key."""
    known: set[str] = set()
    for slot in slots:
        if slot.key in known:
            raise PockError(f"two arguments are called {quote(slot.key)}")
        known.add(slot.key)
    return slots


def _lookup(key: str, named: Mapping[str, Array]) -> Array:
    name = key.partition(":")[2]
    for candidate in (key, name):
        if candidate in named:
            return np.asarray(named[candidate])
    raise PockError(f"no array is given for {quote(key)}")


def _slot(entry: Attributes, type: Attribute, position: int, permute: Attribute | None) -> Slot:
    tensor = cast(Tensor, type)
    if isinstance(type, MemRefType):
        tensor = mem.tensor_of(cast(Attribute, type))
    order = () if permute is None else ints(permute)
    key = key_of(entry) or f"value{position}"
    return Slot(key, tensor, order or tuple(range(len(shape_of(tensor)))))


def _arguments(function: FuncOp) -> Iterator[tuple[Slot, SSAValue]]:
    entries = argument_attributes(function)
    for position, (entry, value) in enumerate(zip(entries, function.args, strict=True)):
        yield _slot(entry, value.type, position, entry.get("pock.permute")), value


def _result_slots(function: FuncOp) -> list[Slot]:
    """The results; what replaces or differentiates a parameter is stored as the parameter is."""
    permutes = {
        name_of(entry): entry.get("pock.permute")
        for entry in argument_attributes(function)
        if kind_of(entry) in mem.OBJECT_KINDS
    }
    slots: list[Slot] = []
    types = function.function_type.outputs.data
    for position, (entry, type) in enumerate(zip(result_attributes(function), types, strict=True)):
        is_stored = kind_of(entry) in ("update", "gradient")
        permute = permutes.get(name_of(entry)) if is_stored else None
        slots.append(_slot(entry, type, position, permute))
    return slots


# --- the memory level ------------------------------------------------------------------------


def _has_buffers(function: FuncOp) -> bool:
    kinds = [kind_of(entry) for entry in argument_attributes(function)]
    return tuple(kinds[: len(mem.REGIONS)]) == mem.REGIONS


def _is_result(slot: Slot) -> bool:
    return slot.key.partition(":")[0] in mem.OUTPUT_KINDS


def _ports(function: FuncOp) -> Iterator[tuple[Slot, SSAValue]]:
    """The caller's buffers."""
    pairs = list(_arguments(function))
    yield from pairs[len(mem.REGIONS) :]


def _objects(module: ModuleOp, function: FuncOp, attribute: str) -> list[mem.ObjectOp]:
    """The objects that the function holds values of at its begin or its end."""
    names = cast(DictionaryAttr, function.attributes.get(attribute, DictionaryAttr({}))).data
    return [item for item in mem.objects(module) if item.sym_name.data in names]


def _object_slot(item: mem.ObjectOp, kind: str | None = None) -> Slot:
    order = ints(item.permute) or tuple(range(len(shape_of(item.type))))
    return Slot(f"{kind or text(item.kind)}:{text(item.label)}", item.type, order)


def _unwritten(type: Attribute) -> Array:
    """Memory whose contents nobody may rely on: NaN, or a number far off."""
    tensor = mem.tensor_of(type)
    raw = np.full(num_bytes(tensor), 0xFF, np.uint8)
    return raw.view(dtype_of(tensor).numpy).reshape(shape_of(tensor))


def _execute_on_buffers(
    module: ModuleOp, function: FuncOp, named: Mapping[str, Array]
) -> dict[str, Array]:
    arrays = [_unwritten(value.type) for value in function.args]
    regions = dict[str, Array](zip(mem.REGIONS, arrays, strict=False))
    for item in _objects(module, function, "pock.begin"):
        slot = _object_slot(item)
        object_in(regions, item)[...] = slot.stored(_lookup(slot.key, named))
    results: list[tuple[Slot, Array]] = []
    for index, (slot, _) in enumerate(_ports(function), start=len(mem.REGIONS)):
        if _is_result(slot):
            results.append((slot, arrays[index]))
        else:
            arrays[index] = slot.stored(_lookup(slot.key, named))
    with linear_symbol_lookup():
        run_function(module, function.sym_name.data, arrays)
    for item in _objects(module, function, "pock.end"):
        results.append((_object_slot(item, "update"), object_in(regions, item)))
    return {slot.key: slot.framework(array) for slot, array in results}


# --- inputs ----------------------------------------------------------------------------------

INDICES: Mapping[type[Any], tuple[str, str, int]] = {
    EmbeddingOp: ("ids", "table", 0),
    CrossEntropyOp: ("labels", "logits", 1),
    CrossEntropyGradOp: ("labels", "logits", 1),
}
"""Ops that index with an operand: its field, and the operand and axis whose size is the limit."""

FORWARDING = (BroadcastOp, CastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp, mem.ViewOp)
"""Ops that hand integers on unchanged."""

PLAIN_LIMIT = 2
"""Integers that index nothing are 0 or 1: counts, flags and masks alike stay sensible."""


def index_limit(value: SSAValue) -> int | None:
    """The number of rows that the narrowest use of `value` as an index selects from, or None."""
    limits = [limit for use in value.uses for limit in _use_limits(use.operation, value)]
    return min(limits, default=None)


def _use_limits(op: Any, value: SSAValue) -> Iterator[int]:
    if type(op) in INDICES:
        field, table, axis = INDICES[type(op)]
        if getattr(op, field) is value:
            yield shape_of(getattr(op, table))[axis]
    elif isinstance(op, EmbeddingGradOp) and op.operands[0] is value:
        yield integer(op.rows)
    elif isinstance(op, FORWARDING):
        yield from _limit_of(op.results[0])
    elif isinstance(op, kern.CallOp):
        yield from _limits_inside(op, op.operands, value)
    elif isinstance(op, mem.CallOp):
        yield from _limits_inside(op.kernel.call, op.ins, value)


def _limits_inside(call: kern.CallOp, operands: Any, value: SSAValue) -> Iterator[int]:
    for operand, argument in zip(operands, call.body.block.args, strict=True):
        if operand is value:
            yield from _limit_of(argument)


def _limit_of(value: SSAValue) -> Iterator[int]:
    limit = index_limit(value)
    if limit is not None:
        yield limit


def random_inputs(module: ModuleOp, function: str, seed: int = 0) -> dict[str, Array]:
    """An array for each of `input_slots`, by key, that depends on seed, key and type only.

    Floats are normal with standard deviation 1/2, those of buffers and optimizer state positive;
    integers used as an index are within its limit. Raises PockError as `execute` does.
    """
    target = _runnable(module, function)
    source = dict[str, SSAValue](
        (slot.key, value)
        for slot, value in (_ports(target) if _has_buffers(target) else _arguments(target))
    )
    return {
        slot.key: _random(slot, source.get(slot.key), seed)
        for slot in input_slots(module, function)
    }


def _random(slot: Slot, value: SSAValue | None, seed: int) -> Array:
    generator = np.random.default_rng([seed, zlib.crc32(slot.key.encode())])
    dtype = dtype_of(slot.type)
    if dtype.is_float:
        # A fan-in of hundreds would otherwise drive a deep network to infinity.
        array = generator.standard_normal(slot.shape) * 0.5
        if slot.key.startswith(("buffer:", "state:")):
            array = np.abs(array) + 0.5
        if slot.key.startswith("parameter:") and len(slot.shape) > 1:
            array /= np.sqrt(np.prod(slot.shape[1:]) / 4)
        return array.astype(dtype.numpy) if slot.key != "rate" else np.array(0.01, dtype.numpy)
    limit = None if value is None else index_limit(value)
    # Spared of the extremes: a shape may have one row only.
    return generator.integers(0, limit or PLAIN_LIMIT, slot.shape).astype(dtype.numpy)


# --- comparing -------------------------------------------------------------------------------


def compare(before: ModuleOp, after: ModuleOp, pass_name: str) -> None:
    """Run every function of both modules on the same random inputs and compare the results.

    @train is compared with the @train_step that it became. Results that only one module returns
    are left out. Raises DifferenceError naming the pass and the first value that differs, and
    PockError as `execute` does.
    """
    names = [op.sym_name.data for op in after.ops if isinstance(op, FuncOp)]
    for op in before.ops:
        if not isinstance(op, FuncOp) or not _ends_in_return(op):
            continue
        name = op.sym_name.data
        other = "train_step" if name == "train" and name not in names else name
        if other in names:
            _compare_function(before, after, name, other, pass_name)


def _ends_in_return(function: FuncOp) -> bool:
    return len(function.body.blocks) == 1 and isinstance(function.body.block.last_op, ReturnOp)


def _compare_function(
    before: ModuleOp, after: ModuleOp, name: str, other: str, pass_name: str
) -> None:
    inputs = random_inputs(after, other) | random_inputs(before, name)
    first, second = execute(before, name, inputs), execute(after, other, inputs)
    for key, expected in first.items():
        if key in second:
            problem = difference(expected, second[key])
            if problem is not None:
                raise DifferenceError(f"pass {pass_name} changed @{name}: {key}: {problem}")


def difference(expected: Array, found: Array) -> str | None:
    """How `found` differs from `expected` beyond the tolerance of its dtype, or None."""
    if (expected.shape, expected.dtype) != (found.shape, found.dtype):
        return f"{found.dtype}{found.shape} instead of {expected.dtype}{expected.shape}"
    if expected.dtype.kind in "biu":
        wrong = int(np.count_nonzero(expected != found))
        return f"{wrong} of {expected.size} integers differ" if wrong else None
    a, b = expected.astype(np.float64), found.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return None
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, a - b)
    if not np.isfinite(apart).all():
        return "infinities or NaNs differ"
    finite = np.where(np.isfinite(a), a, 0.0)
    scale = max(float(np.linalg.norm(finite)), NOISE * np.sqrt(a.size))
    relative = float(np.linalg.norm(apart)) / scale
    limit = TOLERANCE[dtype_of_numpy(expected.dtype).name]
    return None if relative <= limit else f"relative difference {relative:.3g}, over {limit:g}"
