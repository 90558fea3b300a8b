"""Decide which values share a buffer, and turn values into memory.

A module-wide table of objects says what outlives a step and where; each distinct kernel stands
once. In a function values become views: of objects, of the caller's buffers, or of a `mem.buffer`
that has no place in the arena yet. A view of a view is a view; an update is made in place; a
result takes the buffer of an operand that dies in the same call where the kernel allows it.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%w: tensor<2xf32> {pock.kind = "parameter", pock.name = "w"}) ->
          (tensor<2xf32> {pock.kind = "output", pock.name = "y"}) {
        %y = kern.call %w {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: 0>} : (tensor<2xf32>) -> tensor<2xf32> {
        ^bb0(%p: tensor<2xf32>):
          %q = nn.neg %p : (tensor<2xf32>) -> tensor<2xf32>
          kern.yield %q : tensor<2xf32>
        }
        func.return %y : tensor<2xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
      mem.object @object0 {label = "w", kind = "parameter", region = "constants",
          offset = 0 : i64, type = tensor<2xf32>, permute = array<i64>}
      mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
      ^bb0(%0: tensor<2xf32>):
        %y = kern.call %0 {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: 0>} : (tensor<2xf32>) -> tensor<2xf32> {
        ^bb0(%p: tensor<2xf32>):
          %q = nn.neg %p : (tensor<2xf32>) -> tensor<2xf32>
          kern.yield %q : tensor<2xf32>
        }
        kern.yield %y : tensor<2xf32>
      }
      func.func @f(%arena: memref<0xi8> {pock.kind = "arena"}, %state: memref<0xi8>
          {pock.kind = "state"}, %constants: memref<64xi8> {pock.kind = "constants"}, %y:
          memref<2xf32> {pock.kind = "output", pock.name = "y", pock.value = 1 : i64})
          attributes {pock.begin = {object0 = 0 : i64}, pock.end = {}} {
        %0 = mem.view %constants {offset = 0 : i64, buffer = -1 : i64, content = "", type =
            memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
        mem.call @k0 ins(%0 : memref<2xf32>) outs(%y : memref<2xf32>) {reads = array<i64: 0>,
            writes = array<i64: 1>}
        func.return
      }
    }
unchanged: every value, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, FunctionType, LocationAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from pock_ir.diagnostics import PockError
from pock_ir.dialects import mem
from pock_ir.dialects.kern import CallOp, structural_key
from pock_ir.lowering.objects import ObjectTable
from pock_ir.op import attribute, integer, text
from pock_ir.passes.contents import contents_of
from pock_ir.passes.signature import (
    Attributes,
    argument_attributes,
    described,
    result_attributes,
    return_of,
    set_argument_attributes,
)
from pock_ir.passes.storage import Storage, replaced_argument, share_buffers
from pock_ir.target import Target, target_of
from pock_ir.types import tensor_type


class KernelTable:
    """The distinct kernels of a module, in the order in which they are first called."""

    def __init__(self, target: Target) -> None:
        self.kernels: list[mem.KernelOp] = []
        self._target = target
        self._known: dict[str, mem.KernelOp] = {}

    def kernel(self, call: CallOp) -> mem.KernelOp:
        """The kernel that runs `call`. Raises PockError if none is chosen."""
        key = structural_key(call)
        if key not in self._known:
            choice = self._target.kernel(call.kernel.data)
            self._known[key] = mem.KernelOp.of(
                f"k{len(self.kernels)}",
                call,
                choice.scratch_bytes(call, self._target),
                choice.parts(call, self._target),
            )
            self.kernels.append(self._known[key])
        return self._known[key]


class _FunctionLowering:
    """Builds the memory-level function of one kernel-level function."""

    def __init__(self, function: FuncOp, objects: ObjectTable, kernels: KernelTable) -> None:
        self.function = function
        self.objects = objects
        self.kernels = kernels
        self.storage = Storage(function)
        if self.storage.unsettled:
            raise PockError(f"@{function.sym_name.data} needs write-back before it has memory")
        self.buffer_of = share_buffers(self.storage, range(len(self.storage.calls)))
        self.contents = self._buffer_contents()
        self.number = self._number_values()
        self.block = Block()
        self._views: dict[tuple[int, Attribute], SSAValue] = {}
        self._roots: dict[int, tuple[SSAValue, int]] = {}
        self._location: LocationAttr = function.location

    def _buffer_contents(self) -> dict[int, str]:
        """What each buffer holds: "saved" if one of its places is, else as the first of them."""
        contents: dict[int, str] = {}
        for place, content in contents_of(self.storage).items():
            buffer = self.buffer_of[place.index]
            if content == "saved" or buffer not in contents:
                contents[buffer] = content
        return contents

    def _number_values(self) -> dict[SSAValue, int]:
        values = [*self.function.args, *(v for results in self.storage.results for v in results)]
        return {value: index for index, value in enumerate(values)}

    def run(self) -> FuncOp:
        """The function; it replaces the one that was given."""
        entries = self._add_arguments()
        for index, call in enumerate(self.storage.calls):
            self._lower_call(index, call)
        self._insert(ReturnOp())
        types = [value.type for value in self.block.args]
        name = self.function.sym_name.data
        lowered = FuncOp(name, FunctionType.from_lists(types, []), Region(self.block))
        lowered.location = self.function.location
        set_argument_attributes(lowered, entries)
        lowered.attributes["pock.begin"] = self._object_values(self.storage.function.args)
        lowered.attributes["pock.end"] = self._end_values()
        return lowered

    def _insert(self, op: Operation) -> Operation:
        op.location = self._location
        self.block.add_op(op)
        return op

    def _argument(self, type: Attribute, hint: str | None) -> SSAValue:
        value = self.block.insert_arg(type, len(self.block.args))
        value.name_hint = hint
        return value

    def _add_arguments(self) -> list[Attributes]:
        """Regions, then the caller's inputs, then its outputs; returns their attributes."""
        sizes = {mem.ARENA: 0, **self.objects.bytes}
        regions = {name: self._argument(mem.bytes_type(sizes[name]), name) for name in mem.REGIONS}
        entries = [described(name) for name in mem.REGIONS]
        self.arena = regions[mem.ARENA]
        attributes = argument_attributes(self.function)
        for value, entry in zip(self.function.args, attributes, strict=True):
            place = self.storage.place[value].index
            known = self.objects.find(entry)
            if known is not None:
                self._roots[place] = (regions[text(known.region)], integer(known.offset))
                continue
            memory = self._argument(mem.memory_type(tensor_type(value)), value.name_hint)
            self._roots[place] = (memory, 0)
            entries.append(self._numbered(entry, value))
        return entries + self._add_outputs()

    def _add_outputs(self) -> list[Attributes]:
        replaced, returned = replaced_argument(self.function), return_of(self.function).operands
        entries: list[Attributes] = []
        for position, entry in enumerate(result_attributes(self.function)):
            if position in replaced:
                continue
            base, value = self.storage.returned[position], returned[position]
            memory = self._argument(mem.memory_type(tensor_type(value)), value.name_hint)
            self._roots[self.storage.output_places[position].index] = (memory, 0)
            entries.append(self._numbered(entry, base))
        return entries

    def _numbered(self, entry: Attributes, value: SSAValue) -> Attributes:
        return {**entry, "pock.value": attribute(self.number[value])}

    def _object_values(self, values: tuple[SSAValue, ...]) -> Attribute:
        """The value number that each object holds when the function begins."""
        pairs = zip(values, argument_attributes(self.function), strict=True)
        return DictionaryAttr(
            {
                known.sym_name.data: attribute(self.number[value])
                for value, entry in pairs
                if (known := self.objects.find(entry)) is not None
            }
        )

    def _end_values(self) -> Attribute:
        """The value number that each object holds at the end, if the function changes it."""
        pairs = zip(self.function.args, argument_attributes(self.function), strict=True)
        attributes: dict[SSAValue, Attributes] = dict(pairs)
        ends: dict[str, Attribute] = {}
        for position, value in replaced_argument(self.function).items():
            known = self.objects.find(attributes[value])
            if known is not None:
                ends[known.sym_name.data] = attribute(self.number[self.storage.returned[position]])
        return DictionaryAttr(ends)

    def _view(self, value: SSAValue, base: SSAValue) -> SSAValue:
        """`value` as memory; `base` is what it is a view of."""
        type = mem.memory_type(tensor_type(value))
        place = self.storage.place[base]
        buffer = self.buffer_of[place.index]
        if (buffer, type) not in self._views:
            self._views[buffer, type] = self._make_view(buffer, place.bytes, type)
        return self._views[buffer, type]

    def _make_view(self, buffer: int, size: int, type: mem.Memory) -> SSAValue:
        if buffer not in self._roots:
            self._roots[buffer] = (self._buffer(size, self.contents[buffer]), 0)
        root, offset = self._roots[buffer]
        return root if root.type == type else self._view_of(root, offset, type)

    def _buffer(self, size: int, content: str) -> SSAValue:
        op = mem.BufferOp.make(bytes=size, content=content)
        return self._insert(op).results[0]

    def _view_of(self, root: SSAValue, offset: int, type: mem.Memory) -> SSAValue:
        op = mem.ViewOp.make(root, offset=offset, buffer=-1, content="", type=type)
        return self._insert(op).results[0]

    def _lower_call(self, index: int, call: CallOp) -> None:
        self._location = call.location
        bases, results = self.storage.operands[index], self.storage.results[index]
        kernel = self.kernels.kernel(call)
        ins = [self._view(value, base) for value, base in zip(call.operands, bases, strict=True)]
        outs = [self._view(value, value) for value in results]
        scratch = self._scratch(integer(kernel.scratch_bytes))
        reads = [self.number[base] for base in bases]
        writes = [self.number[value] for value in results]
        self._insert(mem.CallOp.of(kernel, ins, outs, scratch, reads, writes))

    def _scratch(self, size: int) -> SSAValue | None:
        if not size:
            return None
        return self._view_of(self._buffer(size, "scratch"), 0, mem.bytes_type(size))


def kern_to_mem(module: ModuleOp) -> None:
    """Lower a whole module. Raises PockError if a call has no kernel or write-back is missing."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    objects, kernels = ObjectTable(functions), KernelTable(target_of(module))
    lowered = [_FunctionLowering(function, objects, kernels).run() for function in functions]
    for function in functions:
        function.detach()
        function.erase()
    module.body.block.add_ops([*objects.objects, *kernels.kernels, *lowered])


@dataclass(frozen=True)
class KernToMemPass(ModulePass):
    """Runs `kern_to_mem`."""

    name = "kern-to-mem"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kern_to_mem(op)
        op.attributes["pock.level"] = StringAttr("mem")
