"""Which values of a kernel-level function share memory, and what order that asks for.

A *place* is one piece of memory: a function argument's, a caller's output, or a piece of the
arena. Views share the place of what they view; an updating result shares that of its operand; a
returned value is made in the place that it is returned in. A place holds one value after the
other, its *versions*; whatever reads a version runs before the next one is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from pock_ir.diagnostics import PockError, quote
from pock_ir.dialects.kern import NONE, CallOp, reuses_of, updates_of
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, results_of
from pock_ir.types import Tensor, num_bytes


def base_of(value: SSAValue) -> SSAValue:
    """The argument or call result whose memory `value` is, behind any views."""
    while isinstance(value.owner, ReshapeOp):
        value = value.owner.x
    return value


def bytes_of(value: SSAValue) -> int:
    """Bytes of a tensor value."""
    return num_bytes(cast(Tensor, value.type))


def calls_of(function: FuncOp) -> list[CallOp]:
    """The kernel calls of a function, in order."""
    return [op for op in function.body.block.ops if isinstance(op, CallOp)]


def replaced_argument(function: FuncOp) -> dict[int, SSAValue]:
    """For each returned update, by its position: the argument that it replaces.

    Raises PockError if there is none of its name.
    """
    pairs = zip(function.args, argument_attributes(function), strict=True)
    named: dict[str, SSAValue] = {name_of(attributes): value for value, attributes in pairs}
    replaced: dict[int, SSAValue] = {}
    for index, (_, attributes) in enumerate(results_of(function)):
        if kind_of(attributes) != "update":
            continue
        if name_of(attributes) not in named:
            name = quote(name_of(attributes))
            raise PockError(f"@{function.sym_name.data} updates {name}, which is no argument")
        replaced[index] = named[name_of(attributes)]
    return replaced


@dataclass(eq=False)
class Place:
    """One piece of memory. `arena` is False if it is an object's or the caller's.

    versions: the values that it holds one after the other, by number.
    """

    index: int
    bytes: int
    arena: bool
    versions: list[SSAValue] = field(default_factory=list[SSAValue])


class Storage:
    """The places of one function. Linear in its calls and operands.

    calls: in the order of the text; every other list of this class is by their number.
    operands[k], results[k]: the base values that call k reads and makes.
    unsettled: the returned values, by position, that are not made where they are returned.
    """

    def __init__(self, function: FuncOp) -> None:
        self.function = function
        self.calls = calls_of(function)
        self.places: list[Place] = []
        self.place: dict[SSAValue, Place] = {}
        self.producer: dict[SSAValue, int] = {}
        self.readers: dict[SSAValue, list[int]] = {}
        self.operands = [[base_of(value) for value in call.operands] for call in self.calls]
        self.results: list[Sequence[SSAValue]] = [call.results for call in self.calls]
        for value in function.args:
            self._start(value, arena=False)
        self._destination: dict[SSAValue, Place] = {}
        self.output_places: dict[int, Place] = {}
        self._find_destinations()
        for index, call in enumerate(self.calls):
            self._visit(index, call)
        self.unsettled = [index for index in range(len(self.returned)) if not self._ends(index)]

    def _start(self, value: SSAValue, arena: bool) -> Place:
        place = Place(len(self.places), bytes_of(value), arena)
        self.places.append(place)
        self._hold(value, place)
        return place

    def _hold(self, value: SSAValue, place: Place) -> None:
        place.versions.append(value)
        self.place[value] = place

    def _find_destinations(self) -> None:
        replaced = replaced_argument(self.function)
        values = [value for value, _ in results_of(self.function)]
        self.returned = [base_of(value) for value in values]
        for index, base in enumerate(self.returned):
            if index in replaced:
                place = self.place[replaced[index]]
            else:
                place = Place(len(self.places), bytes_of(base), arena=False)
                self.places.append(place)
            self.output_places[index] = place
            self._destination.setdefault(base, place)

    def _visit(self, index: int, call: CallOp) -> None:
        for base in dict.fromkeys(self.operands[index]):
            self.readers.setdefault(base, []).append(index)
        for result, operand in zip(call.results, updates_of(call), strict=True):
            self.producer[result] = index
            if operand != NONE:
                self._hold(result, self.place[self.operands[index][operand]])
            elif result in self._destination:
                self._hold(result, self._destination[result])
            else:
                self._start(result, arena=True)

    def _ends(self, index: int) -> bool:
        base, wanted = self.returned[index], self.output_places[index]
        return self.place.get(base) is wanted and wanted.versions[-1] is base

    def previous(self, value: SSAValue) -> SSAValue | None:
        """What the place of `value` held before it; None if nothing."""
        versions = self.place[value].versions
        position = next(i for i, version in enumerate(versions) if version is value)
        return versions[position - 1] if position else None

    def predecessors(self) -> list[list[int]]:
        """For each call those that have to run before it: producers, and readers of old values."""
        before: list[dict[int, None]] = [{} for _ in self.calls]
        for index, bases in enumerate(self.operands):
            before[index].update((self.producer[b], None) for b in bases if b in self.producer)
        for place in self.places:
            for old, new in zip(place.versions, place.versions[1:], strict=False):
                writer = self.producer[new]
                before[writer].update((reader, None) for reader in self.readers.get(old, ()))
                if old in self.producer:
                    before[writer][self.producer[old]] = None
        self._put_loss_first(before)
        for index, calls in enumerate(before):
            calls.pop(index, None)
        return [list(calls) for calls in before]

    def _put_loss_first(self, before: list[dict[int, None]]) -> None:
        """What a step changes is written after the loss is known, so that a loss which is not
        finite can stop the step while everything is as it was."""
        losses = [
            self.producer[value]
            for value, (_, entry) in zip(self.returned, results_of(self.function), strict=True)
            if kind_of(entry) == "loss" and value in self.producer
        ]
        for index in self.updating_calls():
            before[index].update(dict.fromkeys(losses))

    def updating_calls(self) -> list[int]:
        """The calls that write to the memory of an argument."""
        written = {
            self.producer[value]
            for argument in self.function.args
            for value in self.place[argument].versions[1:]
        }
        return sorted(written)


def last_reads(storage: Storage, order: Iterable[int]) -> dict[Place, int]:
    """For each place the last position in `order` of a call that reads or writes it."""
    last: dict[Place, int] = {}
    for position, index in enumerate(order):
        for value in (*storage.operands[index], *storage.results[index]):
            last[storage.place[value]] = position
    return last


def share_buffers(storage: Storage, order: Sequence[int]) -> list[int]:
    """For each place the number of the buffer that it lives in, when calls run in `order`.

    A place gets the buffer of an operand that dies in the call that makes it, where the call's
    `reuses` allows it: the operand is read through one operand only and both lie in the arena.
    Every other place has a buffer of its own.
    """
    last = last_reads(storage, order)
    buffer = [place.index for place in storage.places]
    for position, index in enumerate(order):
        read = [storage.place[value] for value in storage.operands[index]]
        for result, operand in zip(
            storage.results[index], reuses_of(storage.calls[index]), strict=True
        ):
            place = storage.place[result]
            if operand == NONE or not place.arena or place.versions[0] is not result:
                continue
            old = read[operand]
            if old.arena and last[old] == position and read.count(old) == 1:
                buffer[place.index] = buffer[old.index]
    return buffer
