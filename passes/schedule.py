"""Reorder the calls of each function so that the most bytes alive at once are few.

Several orders are tried and the best is kept; `orders.py` has them. Results go into the module's
attribute `pock.peak`: for each function the order's name, its peak and a lower bound, in bytes.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<64xf32>) -> (tensor<f32> {pock.kind = "output"}, tensor<f32>
          {pock.kind = "output"}) {
        %a = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<64xf32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.exp %p : (tensor<64xf32>) -> tensor<64xf32>
          kern.yield %q : tensor<64xf32>
        }
        %b = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<64xf32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.tanh %p : (tensor<64xf32>) -> tensor<64xf32>
          kern.yield %q : tensor<64xf32>
        }
        %s = kern.call %a {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<f32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.sum %p {axes = array<i64: 0>} : (tensor<64xf32>) -> tensor<f32>
          kern.yield %q : tensor<f32>
        }
        %t = kern.call %b {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<f32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.sum %p {axes = array<i64: 0>} : (tensor<64xf32>) -> tensor<f32>
          kern.yield %q : tensor<f32>
        }
        func.return %s, %t : tensor<f32>, tensor<f32>
      }
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference",
        pock.peak = {f = {order = "eager", peak = 256 : i64, bound = 256 : i64}}} {
      func.func @f(%x: tensor<64xf32>) -> (tensor<f32> {pock.kind = "output"}, tensor<f32>
          {pock.kind = "output"}) {
        %a = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<64xf32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.exp %p : (tensor<64xf32>) -> tensor<64xf32>
          kern.yield %q : tensor<64xf32>
        }
        %s = kern.call %a {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<f32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.sum %p {axes = array<i64: 0>} : (tensor<64xf32>) -> tensor<f32>
          kern.yield %q : tensor<f32>
        }
        %b = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<64xf32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.tanh %p : (tensor<64xf32>) -> tensor<64xf32>
          kern.yield %q : tensor<64xf32>
        }
        %t = kern.call %b {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: -1>} : (tensor<64xf32>) -> tensor<f32> {
        ^bb0(%p: tensor<64xf32>):
          %q = nn.sum %p {axes = array<i64: 0>} : (tensor<64xf32>) -> tensor<f32>
          kern.yield %q : tensor<f32>
        }
        func.return %s, %t : tensor<f32>, tensor<f32>
      }
    }
unchanged: every value, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.diagnostics import PockError, quote
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.op import attribute
from pock_ir.passes.orders import HEURISTICS, Choice, best_order, graph_of, scratch_of
from pock_ir.passes.signature import return_of
from pock_ir.passes.storage import Storage, base_of
from pock_ir.target import Target, target_of


def schedule(function: FuncOp, target: Target, names: tuple[str, ...]) -> Choice:
    """Put the calls of `function` in the best order found; views follow what they view.

    Raises PockError if a returned value is not made in place; see `write-back`.
    """
    storage = Storage(function)
    if storage.unsettled:
        name = function.sym_name.data
        raise PockError(f"@{name} returns values that need a copy; run write-back before schedule")
    graph = graph_of(storage, scratch_of(storage, target), target.alignment)
    choice = best_order(graph, names)
    _reorder(function, storage, choice.order)
    return choice


def _reorder(function: FuncOp, storage: Storage, order: list[int]) -> None:
    block, end = function.body.block, return_of(function)
    views: dict[SSAValue, list[Operation]] = {}
    for op in list(block.ops):
        if isinstance(op, ReshapeOp):
            views.setdefault(base_of(op.x), []).append(op)
        if op is not end:
            op.detach()
    ordered: list[Operation] = [view for value in block.args for view in views.get(value, ())]
    for index in order:
        ordered.append(storage.calls[index])
        for result in storage.calls[index].results:
            ordered.extend(views.get(result, ()))
    block.insert_ops_before(ordered, end)


def _row(choice: Choice) -> Attribute:
    return DictionaryAttr(
        {
            "order": attribute(choice.name),
            "peak": attribute(choice.peak),
            "bound": attribute(choice.bound),
        }
    )


@dataclass(frozen=True)
class SchedulePass(ModulePass):
    """Runs `schedule` on every function.

    orders: the heuristics to try, of `orders.HEURISTICS`; all of them if there is none.
    """

    name = "schedule"
    orders: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        unknown = [name for name in self.orders if name not in HEURISTICS]
        if unknown:
            known = ", ".join(HEURISTICS)
            raise PockError(f"unknown order {quote(unknown[0])}; known: {known}")
        target = target_of(op)
        names = self.orders or tuple(HEURISTICS)
        functions = [function for function in op.ops if isinstance(function, FuncOp)]
        rows = {f.sym_name.data: _row(schedule(f, target, names)) for f in functions}
        op.attributes["pock.peak"] = DictionaryAttr(rows)
