"""Let every returned value be made where it has to end, with as few copies as possible.

A returned update lives in the memory of the argument that it replaces, any other returned value
in the caller's memory. A kernel writes there itself where that is sound; else a copy does it at
the end. An in-place update that would destroy a value which is still needed works on a copy.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> (tensor<4xf32> {pock.kind = "output",
          pock.name = "x"}) {
        func.return %x : tensor<4xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
      func.func @f(%x: tensor<4xf32>) -> (tensor<4xf32> {pock.kind = "output",
          pock.name = "x"}) {
        %0 = kern.call %x {kernel = "reference", updates = array<i64: -1>,
            reuses = array<i64: 0>} : (tensor<4xf32>) -> tensor<4xf32> {
        ^bb0(%1: tensor<4xf32>):
          %2 = nn.cast %1 {to = "f32"} : (tensor<4xf32>) -> tensor<4xf32>
          kern.yield %2 : tensor<4xf32>
        }
        func.return %0 : tensor<4xf32>
      }
    }
unchanged: every value, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.kern import NONE, CallOp, YieldOp, reuses_of, updates_of
from pock_ir.passes.select_kernels import Selector
from pock_ir.passes.signature import return_of
from pock_ir.passes.storage import Storage, replaced_argument
from pock_ir.target import target_of
from pock_ir.types import dtype_of


def copy_of(value: SSAValue, place: Operation, selector: Selector) -> SSAValue:
    """A kernel call before `place` that copies `value`; returns the copy."""
    block = Block(arg_types=[value.type])
    body = CastOp.make(block.args[0], location=place.location, to=dtype_of(value).name)
    end = YieldOp.create(operands=body.results, location=place.location)
    block.add_ops([body, end])
    call = CallOp.of([value], block, place.location)
    selector.select(call)
    parent = place.parent
    assert parent is not None
    parent.insert_op_before(call, place)
    return call.results[0]


def write_back(function: FuncOp, selector: Selector) -> None:
    """Insert copies until every returned value is made in place and no order is impossible."""
    while True:
        storage = Storage(function)
        updates = _unsound_updates(storage)
        for index, operand in updates:
            _work_on_copy(storage.calls[index], operand, selector)
        if updates:
            continue
        returns = storage.unsettled or _unsound_returns(storage) or _returns_in_cycle(storage)
        for position in returns:
            _copy_returned(storage, position, selector)
        if returns:
            continue
        in_cycle = _updates_in_cycle(storage)
        if not in_cycle:
            return
        index, operand = in_cycle[-1]
        _work_on_copy(storage.calls[index], operand, selector)


def _work_on_copy(call: CallOp, operand: int, selector: Selector) -> None:
    call.operands[operand] = copy_of(call.operands[operand], call, selector)


def _copy_returned(storage: Storage, position: int, selector: Selector) -> None:
    """Return a copy of result number `position`.

    An update by the old value of another argument goes through the arena, since that argument
    may in turn be updated by the old value of this one.
    """
    end = return_of(storage.function)
    value = end.operands[position]
    replaced = replaced_argument(storage.function)
    if storage.returned[position] in storage.function.args and position in replaced:
        value = copy_of(value, end, selector)
    end.operands[position] = copy_of(value, end, selector)


def _unsound_updates(storage: Storage) -> list[tuple[int, int]]:
    """Calls, with their operand, that may not overwrite it in place.

    It has to be an argument that the function replaces or a piece of the arena, its last version
    so far, and no other operand of the call may be a view of it.
    """
    replaced = {storage.place[value] for value in replaced_argument(storage.function).values()}
    unsound: list[tuple[int, int]] = []
    for index, call in enumerate(storage.calls):
        places = [storage.place[value] for value in storage.operands[index]]
        for result, operand in zip(call.results, updates_of(call), strict=True):
            if operand == NONE:
                continue
            place, old = places[operand], storage.operands[index][operand]
            is_own = place.arena or place in replaced
            is_latest = storage.previous(result) is old
            if not (is_own and is_latest and places.count(place) == 1):
                unsound.append((index, operand))
    return unsound


def _unsound_returns(storage: Storage) -> list[int]:
    """Returned values whose kernel may not write to their place, because it reads it."""
    unsound: list[int] = []
    for position, base in enumerate(storage.returned):
        index = storage.producer.get(base)
        if index is None:
            continue
        call = storage.calls[index]
        result = next(i for i, value in enumerate(call.results) if value is base)
        if updates_of(call)[result] != NONE:
            continue
        place = storage.place[base]
        read = [i for i, v in enumerate(storage.operands[index]) if storage.place[v] is place]
        if read not in ([], [reuses_of(call)[result]]):
            unsound.append(position)
    return unsound


def _cyclic(storage: Storage) -> set[int]:
    """The calls that wait for each other, and what lies between two such groups."""
    before = storage.predecessors()
    after: list[list[int]] = [[] for _ in before]
    for index, calls in enumerate(before):
        for call in calls:
            after[call].append(index)
    return _stuck(before, after) & _stuck(after, before)


def _stuck(before: list[list[int]], after: list[list[int]]) -> set[int]:
    """The calls that never become ready, when each waits for all of its `before`."""
    waiting = [len(calls) for calls in before]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    stuck = set(range(len(before)))
    while ready:
        index = ready.pop()
        stuck.discard(index)
        for follower in after[index]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    return stuck


def _returns_in_cycle(storage: Storage) -> list[int]:
    """The last returned value that overwrites an argument too early, if any; at most one."""
    cyclic, in_place = _cyclic(storage), _updating_results(storage)
    replaced = replaced_argument(storage.function)
    positions = [
        position
        for position, base in enumerate(storage.returned)
        if storage.producer.get(base) in cyclic and position in replaced and base not in in_place
    ]
    return positions[-1:]


def _updates_in_cycle(storage: Storage) -> list[tuple[int, int]]:
    """In-place updates that make calls wait for each other, the likeliest culprit last.

    That is an update of what another of these calls reads; else any update of an argument, which
    may have to wait for the loss. A copy has one reader and lies in the arena, so it is neither.
    """
    cyclic = _cyclic(storage)
    culprits: list[tuple[int, int]] = []
    suspects: list[tuple[int, int]] = []
    for index in sorted(cyclic):
        for operand in updates_of(storage.calls[index]):
            if operand == NONE:
                continue
            old = storage.operands[index][operand]
            if any(reader in cyclic for reader in storage.readers[old] if reader != index):
                culprits.append((index, operand))
            elif not storage.place[old].arena:
                suspects.append((index, operand))
    return suspects + culprits


def _updating_results(storage: Storage) -> set[SSAValue]:
    return {
        result
        for call in storage.calls
        for result, operand in zip(call.results, updates_of(call), strict=True)
        if operand != NONE
    }


@dataclass(frozen=True)
class WriteBackPass(ModulePass):
    """Runs `write_back` on every function; raises PockError if the target cannot copy."""

    name = "write-back"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        selector = Selector(target_of(op))
        for function in op.ops:
            if isinstance(function, FuncOp):
                write_back(function, selector)
        selector.errors.raise_if_any()
