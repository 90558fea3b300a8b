"""Merge kernel calls where the target has a kernel that does the work of both, no slower.

What is merged, when one call reads what another makes:

- elementwise calls of one iteration space, with their constants and broadcasts;
- a matrix product, convolution, reduction, ... and the elementwise call on its result: bias,
  activation, residual sum, and the optimizer's update of a weight by its gradient, which then
  never reaches memory;
- an elementwise call into the call that reads it.

The first call's results stay results if something else reads them too. An elementwise call with
several readers is merged into all of them if it is cheap, no reader refuses, and memory traffic
does not grow; constants and broadcasts are merged into whoever accepts them.

The target decides: a merge is made only if one of its kernels matches the merged call and the
cost model finds it no slower than the two calls. A forward call is merged into a backward one only
if that keeps fewer bytes alive in between. Calls are visited in order and merged with what they
read, nearest first: in a first round where a result need not be stored any more, in a second one
where it is read elsewhere too. So the result is deterministic and the time near-linear.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
        %y = kern.call %x {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>}
            : (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%p: tensor<4xf32>):
          %q = nn.neg %p : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %q : tensor<4xf32>
        }
        %z = kern.call %y {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>}
            : (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%p: tensor<4xf32>):
          %q = nn.relu %p : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %q : tensor<4xf32>
        }
        func.return %z : tensor<4xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
        %z = kern.call %x {kernel = "", updates = array<i64: -1>, reuses = array<i64: -1>}
            : (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%p: tensor<4xf32>):
          %q = nn.neg %p : (tensor<4xf32>) -> tensor<4xf32>
          %r = nn.relu %q : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %r : tensor<4xf32>
        }
        func.return %z : tensor<4xf32>
      }
    }
unchanged: every value up to the rounding of the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
    ClampOp,
    CompareOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    ReluOp,
    SelectOp,
    SquareOp,
    SubOp,
)
from pock_ir.dialects.kern import NONE, CallOp, body_ops, meaning_key, updates_of
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.passes.contents import forward_calls, loss_calls
from pock_ir.passes.merge_calls import merge
from pock_ir.passes.pointwise import (
    GENERATORS,
    Shape,
    anchors,
    overwrites_anchor_input,
    space_of,
)
from pock_ir.passes.select_kernels import cheapest
from pock_ir.passes.storage import Storage, base_of, bytes_of
from pock_ir.target import Target, target_of
from pock_ir.types import Tensor, shape_of

MOST_OPS = 48
"""Ops of one body: longer chains gain nothing, and compilers run out of registers."""

MOST_READERS = 4
"""Into how many readers an elementwise call may be copied."""

CHEAP: tuple[type[Operation], ...] = (
    *GENERATORS,
    AbsOp,
    AddOp,
    ClampOp,
    CompareOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    ReluOp,
    SelectOp,
    SquareOp,
    SubOp,
)
"""Ops that take no longer than loading their result would."""

# Costs are sums of floats: what is equal on paper may differ in the last bits.
SLACK = 1 + 1e-9


class Profile:
    """What a merge needs to know of a call."""

    def __init__(
        self, call: CallOp, position: int, forward: bool, before_loss: bool, updating: bool
    ) -> None:
        self.call = call
        self.position = position
        self.forward = forward
        self.before_loss = before_loss
        self.updating = updating

    @cached_property
    def is_anchored(self) -> bool:
        return bool(anchors(self.call))

    @cached_property
    def space(self) -> Shape | None:
        return space_of(self.call)

    @cached_property
    def size(self) -> int:
        return len(body_ops(self.call))

    @cached_property
    def updates(self) -> int:
        return sum(place != NONE for place in updates_of(self.call))

    @cached_property
    def is_generator(self) -> bool:
        return all(isinstance(op, GENERATORS) for op in body_ops(self.call))

    @cached_property
    def is_cheap(self) -> bool:
        return all(isinstance(op, CHEAP) for op in body_ops(self.call))


class Costs:
    """Seconds of calls by what they mean; infinite where the target has no kernel."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._known: dict[str, float] = {}

    def of(self, call: CallOp) -> float:
        key = meaning_key(call)
        if key not in self._known:
            offer = cheapest(call, self._target)
            self._known[key] = inf if offer is None else offer[0]
        return self._known[key]

    def accept(self, merged: CallOp, seconds: float) -> bool:
        """Whether the target has a kernel for `merged` that takes no longer than `seconds`."""
        return self.of(merged) < inf and self.of(merged) <= seconds * SLACK


class Fuser:
    """Merges the calls of one function."""

    def __init__(self, function: FuncOp, costs: Costs) -> None:
        storage = Storage(function)
        self._function = function
        self._costs = costs
        forward, before_loss = forward_calls(storage), loss_calls(storage)
        updating = set(storage.updating_calls())
        self._profiles: dict[Operation, Profile] = {
            call: Profile(call, index, forward[index], before_loss[index], index in updating)
            for index, call in enumerate(storage.calls)
        }
        self._writers: dict[SSAValue, CallOp] = {}
        for call in storage.calls:
            self._note_writes(call)

    def run(self) -> None:
        self._merge_all(sparing=True)
        for call in self._in_order():
            if call in self._profiles and not self._profiles[call].is_anchored:
                self._spread(call)
        self._merge_all(sparing=False)

    def _in_order(self) -> list[CallOp]:
        profiles = sorted(self._profiles.values(), key=lambda profile: profile.position)
        return [profile.call for profile in profiles]

    def _merge_all(self, sparing: bool) -> None:
        """Merge every call with what it reads; `sparing`: only where that saves a result."""
        for call in self._in_order():
            if call in self._profiles:
                self._absorb_producers(call, sparing)

    def _note_writes(self, call: CallOp) -> None:
        for operand in updates_of(call):
            if operand != NONE:
                self._writers[base_of(call.operands[operand])] = call

    def _producers(self, call: CallOp) -> list[CallOp]:
        """The calls whose results `call` reads directly, nearest first."""
        owners = dict.fromkeys(operand.owner for operand in call.operands)
        producers = [owner for owner in owners if isinstance(owner, CallOp)]
        return sorted(producers, key=lambda owner: -self._profiles[owner].position)

    def _absorb_producers(self, call: CallOp, sparing: bool) -> None:
        """Merge `call` with what it reads, until nothing more can be merged."""
        refused: set[CallOp] = set()
        while True:
            open_ = [first for first in self._producers(call) if first not in refused]
            if not open_:
                return
            merged = self._try(open_[0], call, sparing)
            if merged is None:
                refused.add(open_[0])
            else:
                call = merged

    def _try(self, first: CallOp, second: CallOp, sparing: bool) -> CallOp | None:
        """The call that took the place of both; None if they stay two."""
        a, b = self._profiles[first], self._profiles[second]
        keep = [i for i, result in enumerate(first.results) if _is_read_beside(result, second)]
        stored = [index for index in keep if updates_of(first)[index] == NONE]
        if (sparing and stored) or not (_fit(a, b) and self._may_move(a, b)):
            return None
        if _updates_too_early(a, b):
            return None
        if len(keep) - len(stored) < a.updates:
            return None
        if a.forward and not b.forward and self._prolongs(first, second, keep):
            return None
        merged = merge(first, second, keep)
        if not self._accept(merged, self._costs.of(first) + self._costs.of(second)):
            _discard(merged)
            return None
        return self._commit(first, second, keep, merged)

    def _accept(self, merged: CallOp, seconds: float) -> bool:
        return not overwrites_anchor_input(merged) and self._costs.accept(merged, seconds)

    def _may_move(self, a: Profile, b: Profile) -> bool:
        """Whether `a` can run in the place of `b`.

        Nothing that reads a result of `a` runs before, `b` reads no view of such a result, and
        what `a` reads is not overwritten before.
        """
        for result in a.call.results:
            for reader, is_view in _readers(result):
                other = self._profiles.get(reader)
                if other is None or other.position < b.position or (other is b and is_view):
                    return False
        for operand in a.call.operands:
            writer = self._writers.get(base_of(operand))
            if writer in (None, a.call):
                continue
            if self._profiles[writer].position < b.position:
                return False
        return True

    def _prolongs(self, first: CallOp, second: CallOp, keep: list[int]) -> bool:
        """Whether moving `first` to the place of `second` keeps more bytes alive in between."""
        end = self._profiles[second].position
        longer = 0
        for base in {base_of(operand) for operand in first.operands}:
            if isinstance(base.owner, CallOp):
                last = max(self._profiles[reader].position for reader, _ in _readers(base))
                longer += bytes_of(base) if last < end else 0
        dropped = sum(bytes_of(r) for i, r in enumerate(first.results) if i not in keep)
        return self._profiles[first].is_anchored or longer > dropped

    def _commit(self, first: CallOp, second: CallOp, keep: list[int], merged: CallOp) -> CallOp:
        a, b = self._profiles[first], self._profiles[second]
        b.before_loss |= a.before_loss
        b.updating |= a.updating
        old: list[SSAValue] = [*(first.results[index] for index in keep), *second.results]
        views = [view for result in old[: len(keep)] for view in _views(result)]
        self._put(second, merged, old)
        for view in reversed(views):
            view.detach()
            _block(merged).insert_op_after(view, merged)
        self._erase(first)
        return merged

    def _put(self, second: CallOp, merged: CallOp, old: list[SSAValue]) -> None:
        """Let `merged`, whose results are `old`, take the place of `second`."""
        profile = self._profiles.pop(second)
        self._profiles[merged] = Profile(
            merged, profile.position, profile.forward, profile.before_loss, profile.updating
        )
        _block(second).insert_op_before(merged, second)
        for value, result in zip(old, merged.results, strict=True):
            if value in self._writers:
                self._writers[result] = self._writers.pop(value)
            value.replace_all_uses_with(result)
        second.detach()
        second.erase()
        self._note_writes(merged)

    def _erase(self, call: CallOp) -> None:
        self._profiles.pop(call)
        call.detach()
        call.erase()

    def _spread(self, first: CallOp) -> None:
        """Merge a copy of `first` into each of its readers; then it need not run by itself."""
        readers = self._spread_readers(first)
        a = self._profiles[first]
        if not readers or a.updates or not (a.is_generator or a.is_cheap):
            return
        offers = [(second, merge(first, second, [])) for second in readers]
        share = self._costs.of(first) / len(readers)
        good = [self._accept(merged, self._costs.of(second) + share) for second, merged in offers]
        everywhere = all(good) and self._saves_memory(first, readers)
        for (second, merged), is_good in zip(offers, good, strict=True):
            if everywhere or (is_good and a.is_generator):
                self._put(second, merged, list(second.results))
            else:
                _discard(merged)
        if not any(result.uses for result in first.results):
            self._erase(first)

    def _spread_readers(self, first: CallOp) -> list[CallOp]:
        """The readers of `first`, if it can be copied into all of them (any, for a generator)."""
        a = self._profiles[first]
        uses = [use for result in first.results for use in _readers(result)]
        readers = list(dict.fromkeys(reader for reader, _ in uses))
        fitting = [
            reader
            for reader in readers
            if isinstance(reader, CallOp)
            and (reader, True) not in uses
            and _fit(a, self._profiles[reader])
            and self._may_read(a, self._profiles[reader])
        ]
        if a.is_generator:
            return fitting
        return fitting if len(fitting) == len(readers) <= MOST_READERS else []

    def _may_read(self, a: Profile, b: Profile) -> bool:
        """Whether what `a` reads is still there, and not overwritten, while `b` runs."""
        writers = (self._writers.get(base_of(operand)) for operand in a.call.operands)
        return all(w is None or self._profiles[w].position > b.position for w in writers)

    def _saves_memory(self, first: CallOp, readers: list[CallOp]) -> bool:
        """Whether copies move fewer bytes than storing the result, and keep no operand longer."""
        a = self._profiles[first]
        if a.is_generator:
            return True
        result = sum(bytes_of(value) for value in first.results)
        operands = {base_of(operand) for operand in first.operands}
        loads = 0
        for reader in readers:
            known = {base_of(operand) for operand in reader.operands}
            loads += sum(bytes_of(value) for value in operands - known)
            if a.forward != self._profiles[reader].forward:
                return False
        before = sum(map(bytes_of, operands)) + result * (1 + len(readers))
        return loads <= before - result


def _fit(a: Profile, b: Profile) -> bool:
    """Whether a kernel could do the work of both: one anchor at most, and shapes that agree."""
    if (a.is_anchored and b.is_anchored) or a.size + b.size > MOST_OPS:
        return False
    if a.is_anchored:
        read = [operand for operand in b.call.operands if operand.owner is a.call]
        return all(shape_of(cast(Tensor, value.type)) == b.space for value in read)
    return b.is_anchored or (a.space is not None and a.space == b.space)


def _updates_too_early(a: Profile, b: Profile) -> bool:
    """Whether one call would change what outlives the step, and be needed for the loss too."""
    return (a.before_loss and b.updating) or (b.before_loss and a.updating)


def _readers(value: SSAValue, through_view: bool = False) -> list[tuple[Operation, bool]]:
    """The ops that read `value`, and whether they do so through a view; returns are left out."""
    readers: list[tuple[Operation, bool]] = []
    for use in value.uses:
        if isinstance(use.operation, ReshapeOp):
            readers.extend(_readers(use.operation.result, True))
        elif isinstance(use.operation, CallOp):
            readers.append((use.operation, through_view))
    return readers


def _views(value: SSAValue) -> list[Operation]:
    """The views of `value`, and of those, each before its own views."""
    direct = [use.operation for use in value.uses if isinstance(use.operation, ReshapeOp)]
    return [view for op in direct for view in (op, *_views(op.results[0]))]


def _is_read_beside(value: SSAValue, call: CallOp) -> bool:
    return any(use.operation is not call for use in value.uses)


def _block(op: Operation) -> Block:
    block = op.parent
    assert block is not None
    return block


def _discard(call: CallOp) -> None:
    """Forget a call that was not inserted anywhere."""
    call.drop_all_references()


@dataclass(frozen=True)
class FusePass(ModulePass):
    """Runs `Fuser` on every function."""

    name = "fuse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        costs = Costs(target_of(op))
        for function in op.ops:
            if isinstance(function, FuncOp):
                Fuser(function, costs).run()
