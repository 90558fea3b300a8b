"""Give every buffer a fixed place in one arena, which all functions of the module share.

Buffers that are alive at the same time do not overlap. A buffer is alive from the first call that
uses it to the last; its size and place are rounded to the target's alignment. `pack.py` finds the
places. The attribute `pock.arena` states, in bytes and by function, what was reached (`bytes`) and
the most that is alive at once (`bound`).

before:
    builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
      mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
      ^bb0(%p: tensor<2xf32>):
        %r = kern.call %p {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<2xf32>) -> tensor<2xf32> {
        ^bb0(%q: tensor<2xf32>):
          %s = nn.neg %q : (tensor<2xf32>) -> tensor<2xf32>
          kern.yield %s : tensor<2xf32>
        }
        kern.yield %r : tensor<2xf32>
      }
      func.func @f(%arena: memref<0xi8> {pock.kind = "arena"}, %x: memref<2xf32>
          {pock.kind = "input", pock.value = 0 : i64}, %y: memref<2xf32> {pock.kind = "output",
          pock.value = 2 : i64}) {
        %b = mem.buffer {bytes = 8 : i64, content = "activation"} : memref<8xi8>
        %v = mem.view %b {offset = 0 : i64, buffer = -1 : i64, content = "", type =
            memref<2xf32>} : (memref<8xi8>) -> memref<2xf32>
        mem.call @k0 ins(%x : memref<2xf32>) outs(%v : memref<2xf32>) {reads = array<i64: 0>,
            writes = array<i64: 1>}
        mem.call @k0 ins(%v : memref<2xf32>) outs(%y : memref<2xf32>) {reads = array<i64: 1>,
            writes = array<i64: 2>}
        func.return
      }
    }
after:
    builtin.module attributes {pock.level = "mem", pock.target = "reference",
        pock.arena = {f = {bytes = 64 : i64, bound = 64 : i64}}} {
      mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
      ^bb0(%p: tensor<2xf32>):
        %r = kern.call %p {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<2xf32>) -> tensor<2xf32> {
        ^bb0(%q: tensor<2xf32>):
          %s = nn.neg %q : (tensor<2xf32>) -> tensor<2xf32>
          kern.yield %s : tensor<2xf32>
        }
        kern.yield %r : tensor<2xf32>
      }
      func.func @f(%arena: memref<64xi8> {pock.kind = "arena"}, %x: memref<2xf32>
          {pock.kind = "input", pock.value = 0 : i64}, %y: memref<2xf32> {pock.kind = "output",
          pock.value = 2 : i64}) {
        %v = mem.view %arena {offset = 0 : i64, buffer = 0 : i64, content = "activation", type =
            memref<2xf32>} : (memref<64xi8>) -> memref<2xf32>
        mem.call @k0 ins(%x : memref<2xf32>) outs(%v : memref<2xf32>) {reads = array<i64: 0>,
            writes = array<i64: 1>}
        mem.call @k0 ins(%v : memref<2xf32>) outs(%y : memref<2xf32>) {reads = array<i64: 1>,
            writes = array<i64: 2>}
        func.return
      }
    }
unchanged: every value, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from pock_ir.diagnostics import PockError
from pock_ir.dialects import mem
from pock_ir.op import attribute, integer, text
from pock_ir.passes.orders import aligned
from pock_ir.passes.pack import Interval, Packing, pack
from pock_ir.target import target_of


def lifetimes(function: FuncOp) -> dict[mem.BufferOp, tuple[int, int]]:
    """For each buffer the first and the last call, by number, that uses it; unused ones lack."""
    alive: dict[mem.BufferOp, tuple[int, int]] = {}
    calls = [op for op in function.body.block.ops if isinstance(op, mem.CallOp)]
    for time, call in enumerate(calls):
        for operand in call.operands:
            owner = mem.place_of(operand)[0].owner
            if isinstance(owner, mem.BufferOp):
                alive[owner] = (alive.get(owner, (time, time))[0], time)
    return alive


def plan_function(function: FuncOp, alignment: int) -> tuple[Packing, dict[mem.BufferOp, int]]:
    """A packing of the buffers of `function`, and the offset of each."""
    alive = lifetimes(function)
    packing = pack(
        [
            Interval(first, last + 1, aligned(integer(buffer.bytes), alignment))
            for buffer, (first, last) in alive.items()
        ]
    )
    return packing, dict(zip(alive, packing.offsets, strict=True))


def _place(function: FuncOp, offsets: dict[mem.BufferOp, int], size: int) -> None:
    """Let every view of a buffer become a view of the arena, which gets `size` bytes."""
    block = function.body.block
    arena = Rewriter.replace_value_with_new_type(block.args[0], mem.bytes_type(size))
    for number, (buffer, offset) in enumerate(offsets.items()):
        for use in list(buffer.result.uses):
            view = use.operation
            assert isinstance(view, mem.ViewOp)
            view.operands = [arena]
            view.properties["offset"] = attribute(offset + integer(view.offset))
            view.properties["buffer"] = attribute(number)
            view.properties["content"] = StringAttr(text(buffer.content))
    for op in list(block.ops):
        if isinstance(op, mem.BufferOp):
            for use in list(op.result.uses):
                Rewriter.erase_op(use.operation)
            Rewriter.erase_op(op)
    function.update_function_type()


def plan_memory(module: ModuleOp) -> None:
    """Plan all functions. Raises PockError if the arena exceeds the target's memory."""
    target = target_of(module)
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    plans = [plan_function(function, target.alignment) for function in functions]
    size = max((packing.height for packing, _ in plans), default=0)
    if target.memory is not None and size > target.memory:
        raise PockError(f"the arena needs {size} bytes; {target.name} has {target.memory}")
    for function, (_, offsets) in zip(functions, plans, strict=True):
        _place(function, offsets, size)
    rows = {
        function.sym_name.data: DictionaryAttr(
            {"bytes": attribute(packing.height), "bound": attribute(packing.bound)}
        )
        for function, (packing, _) in zip(functions, plans, strict=True)
    }
    module.attributes["pock.arena"] = DictionaryAttr(rows)


@dataclass(frozen=True)
class PlanMemoryPass(ModulePass):
    """Runs `plan_memory`."""

    name = "plan-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan_memory(op)
