"""Choose for every call the cheapest of the target's kernels that can run it.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
        %y = kern.call %x {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>} :
            (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%p: tensor<4xf32>):
          %q = nn.relu %p : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %q : tensor<4xf32>
        }
        func.return %y : tensor<4xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
        %y = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: 0>} : (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%p: tensor<4xf32>):
          %q = nn.relu %p : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %q : tensor<4xf32>
        }
        func.return %y : tensor<4xf32>
      }
    }
unchanged: every value up to the rounding of the kernel that is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass

from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.dialects.kern import CallOp, describe, meaning_key
from pock_ir.location import location_of
from pock_ir.op import attribute
from pock_ir.target import Kernel, Target, target_of


def cheapest(call: CallOp, target: Target) -> tuple[float, Kernel] | None:
    """Seconds and kernel of the fastest that matches; of equals the one the target lists first."""
    offers = [
        (kernel.seconds(call, target), kernel)
        for kernel in target.kernels
        if kernel.matches(call, target)
    ]
    return min(offers, key=lambda offer: offer[0], default=None)


def choose(call: CallOp, kernel: Kernel, target: Target) -> None:
    """Write the choice into the call, with what the kernel may overwrite."""
    call.properties["kernel"] = StringAttr(kernel.name)
    call.properties["reuses"] = attribute(kernel.reuses(call, target))


class Selector:
    """Chooses kernels for one target; calls that mean the same are asked about once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.errors = DiagnosticCollector()
        self._known: dict[str, Kernel | None] = {}

    def select(self, call: CallOp) -> None:
        """Choose a kernel for `call`, or remember that there is none in `errors`."""
        key = meaning_key(call)
        if key not in self._known:
            offer = cheapest(call, self.target)
            self._known[key] = None if offer is None else offer[1]
        kernel = self._known[key]
        if kernel is None:
            self._refuse(call)
        else:
            choose(call, kernel, self.target)

    def _refuse(self, call: CallOp) -> None:
        operands = ", ".join(str(operand.type) for operand in call.operands)
        results = ", ".join(str(result.type) for result in call.results)
        self.errors.add(
            f"target {self.target.name} has no kernel for {describe(call)}"
            f" : ({operands}) -> ({results})",
            location_of(call),
            "use another target, dtype or op",
        )


def calls_in(module: ModuleOp) -> list[CallOp]:
    """Every kernel call of every function, in order."""
    return [op for op in module.walk() if isinstance(op, CallOp)]


@dataclass(frozen=True)
class SelectKernelsPass(ModulePass):
    """Chooses a kernel for each call; raises PockError that lists every call without one."""

    name = "select-kernels"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        selector = Selector(target_of(op))
        for call in calls_in(op):
            selector.select(call)
        selector.errors.raise_if_any()
