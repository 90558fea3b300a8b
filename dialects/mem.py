"""The memory level: where every byte lives.

A module holds objects (what survives a step), kernels (each distinct one once) and functions.
A function takes the regions `arena`, `state` and `constants` as bytes, and the caller's own
inputs and outputs; its body makes typed views of the regions and calls kernels on them.

The ops run in the reference interpreter on one byte array per region, with numpy views, so that
a wrong offset or a wrong order shows as a wrong number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np
from xdsl.dialects.builtin import (
    DenseArrayBase,
    FlatSymbolRefAttrConstr,
    MemRefType,
    ModuleOp,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    TensorType,
    i8,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import (
    IsolatedFromAbove,
    MemoryAllocEffect,
    MemoryReadEffect,
    MemoryWriteEffect,
    SymbolOpInterface,
    SymbolTable,
)
from xdsl.utils.exceptions import VerifyException

from pock_ir.dialects import kern
from pock_ir.dialects.checks import counted, one_of
from pock_ir.dialects.fields import integer_property, integers_property, text_property
from pock_ir.op import PockOp, attribute, integer, ints, require
from pock_ir.types import Array, Tensor, dtype_of, num_bytes, shape_of, tensor

Memory: TypeAlias = MemRefType[Attribute]

ARENA, STATE, CONSTANTS = "arena", "state", "constants"
REGIONS = (ARENA, STATE, CONSTANTS)
"""The regions, in the order in which they are a function's first arguments."""

OUTPUT_KINDS = ("loss", "output", "gradient")
"""The kinds of the caller's arguments that a function writes to; it only reads all others."""

OBJECT_KINDS = ("parameter", "buffer", "constant", "state")
CLASSES = ("activation", "saved", "gradient", "scratch")
"""What a piece of the arena holds; `saved` is what the backward pass reads of the forward one."""

OBJECT_ALIGNMENT = 64
"""Bytes; every object begins at a multiple, so that kernels may load whole cache lines."""

# A NaN for every float type and a number far off for every integer: what unwritten memory holds.
_UNWRITTEN = 0xFF


@lru_cache(maxsize=1 << 14)
def memory_type(type: Tensor) -> Memory:
    """The buffer of a tensor: tensor<2x3xf32> becomes memref<2x3xf32>."""
    return MemRefType(type.element_type, shape_of(type))


@lru_cache(maxsize=1 << 14)
def tensor_of(type: Attribute) -> Tensor:
    """The tensor that a buffer of `type` holds."""
    memory = cast(Memory, type)
    return tensor(tuple(memory.get_shape()), memory.element_type)


@lru_cache(maxsize=1 << 12)
def bytes_type(size: int) -> Memory:
    """`size` untyped bytes."""
    return MemRefType(i8, [size])


@lru_cache(maxsize=1 << 14)
def memory_bytes(type: Attribute) -> int:
    """The bytes of a buffer."""
    return num_bytes(tensor_of(type))


def _static_memory(type: Attribute, what: str) -> Memory:
    if not isinstance(type, MemRefType):
        raise VerifyException(f"{what} should be a memref, not {type}")
    memory = cast(Memory, type)
    shape = memory.get_shape()
    require(all(dim >= 0 for dim in shape), f"{what} should have a static shape, not {memory}")
    return memory


def _unwritten(size: int) -> Array:
    return np.full(size, _UNWRITTEN, np.uint8).view(np.int8)


@irdl_op_definition
class ObjectOp(IRDLOperation):
    """A tensor that outlives a step: a parameter, a buffer, a constant or optimizer state.

    label: its name in the framework, any text. It lies at byte `offset` of `region`, which is
    "state" if any function changes it and "constants" if none does. `permute` is the permutation
    that was applied to the framework's tensor; empty if there was none.
    """

    name = "mem.object"
    sym_name = prop_def(SymbolNameConstraint())
    label = text_property()
    kind = text_property()
    region = text_property()
    offset = integer_property()
    type = prop_def(TensorType)
    permute = integers_property()
    traits = traits_def(SymbolOpInterface())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$sym_name attr-dict"

    def verify_(self) -> None:
        one_of(self.kind, OBJECT_KINDS, "kind")
        one_of(self.region, (STATE, CONSTANTS), "region")
        rank = len(shape_of(self.type))
        require(integer(self.offset) >= 0, "mem.object: offset may not be negative")
        if ints(self.permute):
            order = counted(self.permute, rank, 0, "permute")
            require(sorted(order) == list(range(rank)), "permute should be a permutation")

    @property
    def bytes(self) -> int:
        return num_bytes(self.type)


@irdl_op_definition
class KernelOp(IRDLOperation):
    """One distinct kernel: a `kern.call` of the operands that says what it means and how it runs.

    scratch_bytes: what it needs beside operands and results; parts: in how many it may run.
    """

    name = "mem.kernel"
    sym_name = prop_def(SymbolNameConstraint())
    scratch_bytes = integer_property()
    parts = integer_property()
    body = region_def("single_block")
    traits = traits_def(SymbolOpInterface(), IsolatedFromAbove())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$sym_name attr-dict `means` $body"

    @staticmethod
    def of(symbol: str, call: kern.CallOp, scratch_bytes: int, parts: int) -> KernelOp:
        """The kernel that runs what `call` runs; `call` itself is copied."""
        block = Block(arg_types=[operand.type for operand in call.operands])
        inner = call.clone(dict(zip(call.operands, block.args, strict=False)))
        inner.operands = block.args
        end = kern.YieldOp.create(operands=inner.results)
        inner.location = end.location = call.location
        block.add_ops([inner, end])
        return KernelOp.create(
            properties={
                "sym_name": StringAttr(symbol),
                "scratch_bytes": attribute(scratch_bytes),
                "parts": attribute(parts),
            },
            regions=[Region(block)],
            location=call.location,
        )

    @property
    def call(self) -> kern.CallOp:
        """The call that says what the kernel means; targets emit code from it."""
        first = self.body.block.first_op
        if not isinstance(first, kern.CallOp):
            raise VerifyException("mem.kernel: the body should be one kern.call")
        return first

    def verify_(self) -> None:
        call, block = self.call, self.body.block
        one = list(block.ops) == [call, block.last_op]
        require(one, "mem.kernel: the body should be one kern.call and kern.yield")
        require(
            tuple(call.operands) == tuple(block.args)
            and tuple(kern.terminator(block).operands) == tuple(call.results),
            "mem.kernel: the call should take all arguments and yield all results, in order",
        )
        require(integer(self.scratch_bytes) >= 0, "mem.kernel: scratch_bytes is negative")
        require(integer(self.parts) >= 1, "mem.kernel: parts should be at least 1")


@irdl_op_definition
class BufferOp(PockOp):
    """`bytes` bytes of the arena that have no place yet; `plan-memory` gives them one.

    content: one of `CLASSES`.
    """

    name = "mem.buffer"
    bytes = integer_property()
    content = text_property()
    result = result_def(MemRefType)
    traits = traits_def(MemoryAllocEffect())
    assembly_format = "attr-dict `:` type($result)"

    def infer(self) -> Sequence[Attribute]:
        one_of(self.content, CLASSES, "content")
        require(integer(self.bytes) >= 0, "bytes may not be negative")
        return [bytes_type(integer(self.bytes))]

    def evaluate(self, *args: Array) -> Array:
        return _unwritten(integer(self.bytes))


@irdl_op_definition
class ViewOp(PockOp):
    """The tensor of `type` that begins at byte `offset` of `region`, a dense buffer of any type.

    buffer, content: which piece of the arena it is a view of, for checks and reports; a piece
    keeps its number when it is used under several types. -1 and "" outside of the arena.
    """

    name = "mem.view"
    region = operand_def(MemRefType)
    offset = integer_property()
    buffer = integer_property()
    content = text_property()
    type = prop_def(MemRefType)
    result = result_def(MemRefType)

    def infer(self) -> Sequence[Attribute]:
        region = _static_memory(self.region.type, "region")
        begin = integer(self.offset)
        end = begin + memory_bytes(_static_memory(self.type, "type"))
        size = memory_bytes(region)
        require(begin >= 0 and end <= size, f"bytes {begin} to {end} are not within {size}")
        return [self.type]

    def evaluate(self, *args: Array) -> Array:
        begin, type = integer(self.offset), tensor_of(self.type)
        piece = args[0].reshape(-1).view(np.int8)[begin : begin + num_bytes(type)]
        return piece.view(dtype_of(type).numpy).reshape(shape_of(type))


@irdl_op_definition
class CallOp(PockOp):
    """Runs a kernel on buffers. An operand and a result that share memory begin at the same byte.

    reads, writes: the number of the value that each `ins` holds before and each `outs` holds
    afterwards. The numbers say what the program means, whatever the places; `check_memory`
    follows them through memory.
    """

    name = "mem.call"
    callee = prop_def(FlatSymbolRefAttrConstr)
    ins = var_operand_def(MemRefType)
    outs = var_operand_def(MemRefType)
    scratch = opt_operand_def(MemRefType)
    reads = integers_property()
    writes = integers_property()
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "$callee (`ins` `(` $ins^ `:` type($ins) `)`)? (`outs` `(` $outs^ `:` type($outs) `)`)?"
        " (`scratch` `(` $scratch^ `:` type($scratch) `)`)? attr-dict"
    )

    @staticmethod
    def of(
        kernel: KernelOp,
        ins: Sequence[SSAValue],
        outs: Sequence[SSAValue],
        scratch: SSAValue | None,
        reads: Sequence[int],
        writes: Sequence[int],
    ) -> CallOp:
        """A call of `kernel`, at the kernel's location unless it is given another."""
        sizes = [len(ins), len(outs), 0 if scratch is None else 1]
        return CallOp.make(
            *ins,
            *outs,
            *([] if scratch is None else [scratch]),
            location=kernel.location,
            callee=SymbolRefAttr(kernel.sym_name),
            operandSegmentSizes=_segments(sizes),
            reads=list(reads),
            writes=list(writes),
        )

    def infer(self) -> Sequence[Attribute]:
        return []

    @property
    def kernel(self) -> KernelOp:
        """The kernel that is called. Raises VerifyException if the module has none so named."""
        found = SymbolTable.lookup_symbol(self, self.callee)
        if not isinstance(found, KernelOp):
            raise VerifyException(f"mem.call: {self.callee} is no mem.kernel")
        return found

    def verify_(self) -> None:
        kernel = self.kernel
        for what, values, wanted, numbers in (
            ("ins", self.ins, kernel.call.operands, self.reads),
            ("outs", self.outs, kernel.call.results, self.writes),
        ):
            found = [tensor_of(value.type) for value in values]
            right = found == [value.type for value in wanted]
            require(right, f"mem.call: {what} should have the types of {self.callee}")
            require(len(ints(numbers)) == len(values), f"mem.call: {what} has unnumbered values")
        have = 0 if self.scratch is None else memory_bytes(self.scratch.type)
        need = integer(kernel.scratch_bytes)
        require(have == need, f"mem.call: scratch should be {need} bytes, not {have}")

    def evaluate(self, *args: Array) -> list[Array]:
        """Run the kernel; everything is read before anything is written."""
        ins, outs = args[: len(self.ins)], args[len(self.ins) :][: len(self.outs)]
        scratch = args[len(self.ins) + len(self.outs) :]
        results = self.kernel.call.evaluate(*(np.array(array) for array in ins))
        for array, result in zip(outs, results, strict=True):
            array[...] = result
        for array in scratch:
            array[...] = _unwritten(array.size)
        return []


def _segments(sizes: Sequence[int]) -> Attribute:
    return DenseArrayBase.from_list(i32, list(sizes))


def objects(module: ModuleOp) -> list[ObjectOp]:
    """The objects of a module, in order."""
    return [op for op in module.ops if isinstance(op, ObjectOp)]


def kernels(module: ModuleOp) -> list[KernelOp]:
    """The distinct kernels of a module, in order."""
    return [op for op in module.ops if isinstance(op, KernelOp)]


def place_of(value: SSAValue) -> tuple[SSAValue, int]:
    """The region or caller's buffer that `value` lies in, and at which byte."""
    owner: Operation | Block = value.owner
    if isinstance(owner, ViewOp):
        region, offset = place_of(owner.region)
        return region, offset + integer(owner.offset)
    return value, 0
