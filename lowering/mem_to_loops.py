"""Replace a program by the loops of its kernels, one function for each that is built as loops.

A kernel that the target writes as text of its own (matrix products, convolutions) has no loops and
is left out, as is the schedule. The function's arguments are the operands, the results and scratch
memory as flat buffers, then the number of the part to run.

before:
    builtin.module attributes {pock.level = "mem", pock.target = "c"} {
      mem.kernel @k0 {scratch_bytes = 0 : i64, parts = 1 : i64} means {
      ^bb0(%0: tensor<2x3xf32>):
        %y = kern.call %0 {kernel = "map", updates = array<i64: -1>,
            reuses = array<i64: 0>} : (tensor<2x3xf32>) -> tensor<2x3xf32> {
        ^bb0(%p: tensor<2x3xf32>):
          %q = nn.neg %p : (tensor<2x3xf32>) -> tensor<2x3xf32>
          kern.yield %q : tensor<2x3xf32>
        }
        kern.yield %y : tensor<2x3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "loops", pock.target = "c"} {
      func.func @k0(%a: memref<6xf32>, %r: memref<6xf32>, %part: index) {
        %zero = arith.constant 0 : index
        %six = arith.constant 6 : index
        %one = arith.constant 1 : index
        scf.for %i = %zero to %six step %one {
          %x = memref.load %a[%i] : memref<6xf32>
          %n = arith.negf %x : f32
          memref.store %n, %r[%i] : memref<6xf32>
        }
        func.return
      }
    }
unchanged: what each kernel computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from pock_ir.dialects import mem
from pock_ir.dialects.kern import CallOp
from pock_ir.location import stamp
from pock_ir.lowering.loops.build import declarations
from pock_ir.target import Target, target_of


@runtime_checkable
class HasLoops(Protocol):
    """A kernel of a target whose code is built as loops."""

    def function(self, call: CallOp, target: Target, symbol: str) -> FuncOp:
        """The loops of `call` as a function."""
        ...


@dataclass(frozen=True)
class MemToLoopsPass(ModulePass):
    """Leaves a function @NAME for each mem.kernel @NAME that the target builds as loops.

    Raises PockError if the module names no target, or a kernel that the target does not have.
    """

    name = "mem-to-loops"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = target_of(op)
        functions: list[FuncOp] = []
        for kernel in mem.kernels(op):
            choice = target.kernel(kernel.call.kernel.data)
            if isinstance(choice, HasLoops):
                functions.append(choice.function(kernel.call, target, kernel.sym_name.data))
                stamp(functions[-1], kernel.location)
        for old in reversed(list(op.body.block.ops)):
            old.detach()
            old.erase()
        op.body.block.add_ops([*declarations(functions), *functions])
        op.attributes["pock.level"] = StringAttr("loops")
