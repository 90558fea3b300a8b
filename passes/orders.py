"""Orders of kernel calls: heuristics that keep few bytes alive, and what each order needs.

The model: a call needs its operands, its results and its scratch at once; a place is alive from
the call that makes it to the last call that touches it. Arguments and outputs are not counted.

Methods: list scheduling by the change of live bytes, forward and backward (as in the cheap orders
of PyTorch Inductor's `memory.py`), and depth-first order. All are near-linear and deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from xdsl.ir import SSAValue

from pock_ir.dialects.kern import NONE, reuses_of
from pock_ir.passes.storage import Storage
from pock_ir.target import Target

Priority = Callable[[int, int], tuple[int, int]]
"""From a call's change of live bytes and its number to a sort key; the smallest runs first."""

REACHABILITY_LIMIT = 20_000
"""Calls above which `lower_bound` looks at each call alone: its bit sets grow as the square."""


@dataclass(frozen=True)
class Graph:
    """What the heuristics read. All lists are by call, except the last three, by place.

    touched: the places that a call reads or makes; made: those that it makes first;
    scratch and bytes: bytes, as the planner will round them; shared: bytes of results that may
    take the place of an operand, with the number of that place.
    """

    before: list[list[int]]
    after: list[list[int]]
    touched: list[list[int]]
    made: list[list[int]]
    scratch: list[int]
    shared: list[list[int]]
    bytes: list[int]
    touching: list[list[int]]

    def __len__(self) -> int:
        return len(self.before)


def aligned(size: int, alignment: int) -> int:
    """`size` rounded up to a multiple of `alignment`."""
    return -(-size // alignment) * alignment


def graph_of(storage: Storage, scratch: Sequence[int], alignment: int) -> Graph:
    """The graph of one function, of the places in the arena only."""
    before = storage.predecessors()
    after: list[list[int]] = [[] for _ in before]
    for index, calls in enumerate(before):
        for call in calls:
            after[call].append(index)
    touched: list[list[int]] = []
    made: list[list[int]] = []
    shared: list[list[int]] = []
    touching: list[list[int]] = [[] for _ in storage.places]
    for index in range(len(before)):
        values = (*storage.operands[index], *storage.results[index])
        places = dict.fromkeys(p.index for v in values if (p := storage.place[v]).arena)
        touched.append(list(places))
        made.append([storage.place[v].index for v in storage.results[index] if _starts(storage, v)])
        shared.append(_shared(storage, index))
        for place in places:
            touching[place].append(index)
    sizes = [aligned(place.bytes, alignment) if place.arena else 0 for place in storage.places]
    rounded = [aligned(size, alignment) for size in scratch]
    return Graph(before, after, touched, made, rounded, shared, sizes, touching)


def _starts(storage: Storage, value: SSAValue) -> bool:
    place = storage.place[value]
    return place.arena and place.versions[0] is value


def _shared(storage: Storage, index: int) -> list[int]:
    """The places of operands whose buffer a result may take."""
    operands = [storage.place[value] for value in storage.operands[index]]
    pairs = zip(storage.results[index], reuses_of(storage.calls[index]), strict=True)
    return [
        operands[operand].index
        for result, operand in pairs
        if operand != NONE
        and _starts(storage, result)
        and operands[operand].arena
        and operands.count(operands[operand]) == 1
    ]


def peak(graph: Graph, order: Sequence[int]) -> tuple[int, int]:
    """The most live bytes when calls run in `order`, and the position where that is."""
    left = [len(calls) for calls in graph.touching]
    live, worst, where = 0, 0, 0
    for position, call in enumerate(order):
        live += sum(graph.bytes[place] for place in graph.made[call])
        for place in graph.touched[call]:
            left[place] -= 1
        taken = sum(graph.bytes[place] for place in graph.shared[call] if not left[place])
        now = live + graph.scratch[call] - taken
        if now > worst:
            worst, where = now, position
        live -= sum(graph.bytes[place] for place in graph.touched[call] if not left[place])
    return worst, where


def forward(graph: Graph, priority: Priority) -> list[int]:
    """List scheduling from the first call on.

    The change of live bytes of a call is what it makes minus what dies when it runs now.
    """
    left = [len(calls) for calls in graph.touching]
    # The sum of the calls that still have to touch a place: when one is left, it is that call.
    rest = [sum(calls) for calls in graph.touching]
    change = [sum(graph.bytes[place] for place in places) for places in graph.made]
    for place, calls in enumerate(graph.touching):
        if len(calls) == 1:
            change[calls[0]] -= graph.bytes[place]
    list_ = _ReadyList(graph.before, graph.after, change, priority)
    while (call := list_.next()) is not None:
        for place in graph.touched[call]:
            left[place] -= 1
            rest[place] -= call
            if left[place] == 1:
                list_.lower(rest[place], graph.bytes[place])
    return list_.order


def backward(graph: Graph, priority: Priority) -> list[int]:
    """List scheduling from the last call back.

    Backwards a call gives birth to what it touches, unless that is alive, and ends what it makes.
    """
    made = [set(places) for places in graph.made]
    alive = [False] * len(graph.bytes)
    change = [
        sum(graph.bytes[place] for place in graph.touched[call] if place not in made[call])
        for call in range(len(graph))
    ]
    list_ = _ReadyList(graph.after, graph.before, change, priority)
    while (call := list_.next()) is not None:
        for place in graph.touched[call]:
            if not alive[place]:
                alive[place] = True
                for other in graph.touching[place]:
                    # One that reads it need not keep it alive any more; its maker ends it.
                    list_.lower(other, graph.bytes[place])
    return list_.order[::-1]


class _ReadyList:
    """The calls whose predecessors are done, by priority; priorities only ever get better."""

    def __init__(
        self,
        before: list[list[int]],
        after: list[list[int]],
        change: list[int],
        priority: Priority,
    ) -> None:
        self.order: list[int] = []
        self._waiting = [len(calls) for calls in before]
        self._after = after
        self._change = change
        self._priority = priority
        self._done = [False] * len(before)
        self._heap = [
            (*priority(change[call], call), call)
            for call, count in enumerate(self._waiting)
            if count == 0
        ]
        heapify(self._heap)

    def _push(self, call: int) -> None:
        heappush(self._heap, (*self._priority(self._change[call], call), call))

    def next(self) -> int | None:
        """Run the best call that is ready; None when all are done."""
        while self._heap:
            call = heappop(self._heap)[-1]
            if not self._done[call]:
                self._run(call)
                return call
        return None

    def _run(self, call: int) -> None:
        self._done[call] = True
        self.order.append(call)
        for follower in self._after[call]:
            self._waiting[follower] -= 1
            if not self._waiting[follower]:
                self._push(follower)

    def lower(self, call: int, size: int) -> None:
        """The change of `call` became smaller by `size` bytes."""
        self._change[call] -= size
        if not self._done[call] and not self._waiting[call]:
            self._push(call)


def depth_first(graph: Graph) -> list[int]:
    """Each call as late as its first reader allows, last calls in the order of the text."""
    order: list[int] = []
    seen = [False] * len(graph)
    for root in (call for call in range(len(graph)) if not graph.after[call]):
        stack = [(root, iter(graph.before[root]))]
        seen[root] = True
        while stack:
            call, rest = stack[-1]
            unseen = next((other for other in rest if not seen[other]), None)
            if unseen is None:
                order.append(call)
                stack.pop()
            else:
                seen[unseen] = True
                stack.append((unseen, iter(graph.before[unseen])))
    return order


HEURISTICS: Mapping[str, Callable[[Graph], list[int]]] = {
    "text": lambda graph: list(range(len(graph))),
    # The order of the text, but what frees memory (an update, say) runs as soon as it can.
    "eager": lambda graph: forward(graph, lambda change, call: (int(change > 0), call)),
    "greedy": lambda graph: forward(graph, lambda change, call: (change, call)),
    # The order of the text, but what takes memory runs as late as it can.
    "lazy": lambda graph: backward(graph, lambda change, call: (int(change > 0), -call)),
    "backward": lambda graph: backward(graph, lambda change, call: (change, -call)),
    "depth-first": depth_first,
}
"""Orders by name; "text" is a valid order only if the text is."""


@dataclass(frozen=True)
class Choice:
    """An order, the name of its heuristic, its peak in bytes and a lower bound of any order."""

    order: list[int]
    name: str
    peak: int
    bound: int


def best_order(graph: Graph, names: Sequence[str]) -> Choice:
    """The order of the smallest peak among the heuristics `names`; of equals the first."""
    bound = lower_bound(graph)
    best: Choice | None = None
    for name in names:
        order = HEURISTICS[name](graph)
        if not is_valid(graph, order):
            continue
        choice = Choice(order, name, peak(graph, order)[0], bound)
        if best is None or choice.peak < best.peak:
            best = choice
    assert best is not None, "no order: the calls wait for each other"
    return best


def is_valid(graph: Graph, order: Sequence[int]) -> bool:
    """Whether `order` has every call once, and each behind all that have to run before it."""
    if sorted(order) != list(range(len(graph))):
        return False
    position = {call: index for index, call in enumerate(order)}
    return all(position[first] < position[call] for call in order for first in graph.before[call])


def lower_bound(graph: Graph) -> int:
    """Bytes that some call needs in every order.

    While a call runs, alive are the places that it touches, and every place that has to be made
    before it and is touched by a call that has to run after it.
    """
    need = np.array(graph.scratch, dtype=np.int64)
    for call, places in enumerate(graph.shared):
        need[call] -= sum(graph.bytes[place] for place in places)
    if not len(graph):
        return 0
    if len(graph) > REACHABILITY_LIMIT:
        for call, places in enumerate(graph.touched):
            need[call] += sum(graph.bytes[place] for place in places)
        return int(need.max())
    ancestors, descendants = _reachable(graph)
    width = -(-len(graph) // 8)
    for place, calls in enumerate(graph.touching):
        if not calls or not graph.bytes[place]:
            continue
        later = 0
        for call in calls:
            later |= ancestors[call]
        makers = [call for call in calls if place in graph.made[call]]
        mask = later & descendants[makers[0]]
        for call in calls:
            mask |= 1 << call
        bits = np.frombuffer(mask.to_bytes(width, "little"), dtype=np.uint8)
        need += np.unpackbits(bits, bitorder="little")[: len(graph)] * np.int64(graph.bytes[place])
    return int(need.max())


def _reachable(graph: Graph) -> tuple[list[int], list[int]]:
    """For each call the bit sets of all calls before it and of all after it."""
    order = depth_first(graph)
    ancestors = [0] * len(graph)
    for call in order:
        for first in graph.before[call]:
            ancestors[call] |= ancestors[first] | 1 << first
    descendants = [0] * len(graph)
    for call in reversed(order):
        for follower in graph.after[call]:
            descendants[call] |= descendants[follower] | 1 << follower
    return ancestors, descendants


def scratch_of(storage: Storage, target: Target) -> list[int]:
    """Scratch bytes of each call; 0 where no kernel is chosen yet."""
    by_name = {kernel.name: kernel for kernel in target.kernels}
    return [
        by_name[name].scratch_bytes(call, target) if (name := call.kernel.data) else 0
        for call in storage.calls
    ]
