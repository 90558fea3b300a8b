"""Checks that each value exists where it is used; xDSL's verifier does not (xdsl#1033).

The module body counts as a function body, and an unreachable block sees only its own values.
MLIR is more lenient in both; pock writes neither.
"""

from xdsl.ir import Block, BlockArgument, Operation, Region, SSAValue

from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.location import location_of, name_of

MAX_REPORTED = 20
"""How many misplaced uses one check reports; more of them say nothing new."""


def check_dominance(module: Operation) -> None:
    """Check every use inside `module`, in time linear in the number of operands.

    Raises PockError that names each op with a misplaced operand (the first `MAX_REPORTED`)
    and its location.
    """
    checker = _Checker(module)
    errors = DiagnosticCollector()
    for op in module.walk():
        for index, value in enumerate(op.operands):
            if not checker.is_visible(value, op):
                errors.add(_describe(op, index, value), location_of(op))
        if len(errors.diagnostics) >= MAX_REPORTED:
            break
    errors.raise_if_any()


def _describe(op: Operation, index: int, value: SSAValue) -> str:
    name = f" {quote('%' + value.name_hint)}" if value.name_hint else ""
    return f"{name_of(op)} uses a value that is not defined there: operand {index}{name}"


class _Checker:
    def __init__(self, root: Operation) -> None:
        self._number = {op: number for number, op in enumerate(root.walk())}
        self._trees: dict[Region, DominatorTree] = {}

    def is_visible(self, value: SSAValue, user: Operation) -> bool:
        owner = value.owner
        if not isinstance(owner, Block) and owner not in self._number:
            return False
        block = owner if isinstance(owner, Block) else owner.parent
        region = None if block is None else block.parent
        if block is None or region is None:
            return False
        ancestor = _ancestor_in(region, user)
        if ancestor is None or ancestor.parent is None:
            return False
        if ancestor.parent is not block:
            return self._tree(region).dominates(block, ancestor.parent)
        if isinstance(value, BlockArgument) or isinstance(owner, Block):
            return True
        return self._number[owner] < self._number[ancestor]

    def _tree(self, region: Region) -> "DominatorTree":
        if region not in self._trees:
            self._trees[region] = DominatorTree(region)
        return self._trees[region]


def _ancestor_in(region: Region, op: Operation) -> Operation | None:
    """`op`, or the op around it, that lies directly in a block of `region`."""
    ancestor: Operation | None = op
    while ancestor is not None and ancestor.parent_region() is not region:
        ancestor = ancestor.parent_op()
    return ancestor


class DominatorTree:
    """Which blocks of one region dominate which, asked in constant time.

    xDSL's `DominanceInfo` keeps a set of blocks per block, quadratic in memory.
    Method: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001); the tree is
    then numbered, so that a block dominates what lies in its interval.
    """

    def __init__(self, region: Region) -> None:
        order = _reverse_postorder(region)
        position = {block: index for index, block in enumerate(order)}
        parents = _immediate_dominators(order, position)
        sizes = [1] * len(order)
        for index in range(len(order) - 1, 0, -1):
            sizes[parents[index]] += sizes[index]
        starts = [0] * len(order)
        free = [1] * len(order)  # the first number below a block that is not taken yet
        for index in range(1, len(order)):
            starts[index] = free[parents[index]]
            free[parents[index]] += sizes[index]
            free[index] = starts[index] + 1
        self._interval = {
            block: (starts[index], starts[index] + sizes[index])
            for block, index in position.items()
        }

    def dominates(self, a: Block, b: Block) -> bool:
        """Whether every path to `b` goes through `a`; False where either is unreachable."""
        if a not in self._interval or b not in self._interval:
            return False
        start, end = self._interval[a]
        return start <= self._interval[b][0] < end


def _successors(block: Block) -> tuple[Block, ...]:
    last = block.last_op
    if last is None:
        return ()
    return tuple(next for next in last.successors if next.parent is block.parent)


def _reverse_postorder(region: Region) -> list[Block]:
    """The reachable blocks, each before those that it alone leads to."""
    entry = region.blocks.first
    if entry is None:
        return []
    seen, postorder = {entry}, list[Block]()
    stack = [(entry, iter(_successors(entry)))]
    while stack:
        block, rest = stack[-1]
        unseen = next((after for after in rest if after not in seen), None)
        if unseen is None:
            postorder.append(block)
            stack.pop()
        else:
            seen.add(unseen)
            stack.append((unseen, iter(_successors(unseen))))
    return postorder[::-1]


def _immediate_dominators(order: list[Block], position: dict[Block, int]) -> list[int]:
    """For each block of `order` the index of its immediate dominator; the entry has itself."""
    predecessors: list[list[int]] = [[] for _ in order]
    for index, block in enumerate(order):
        for after in _successors(block):
            predecessors[position[after]].append(index)
    unknown = -1
    dominators = [unknown] * len(order)
    dominators[:1] = [0]
    changed = True
    while changed:
        changed = False
        for index in range(1, len(order)):
            known = [p for p in predecessors[index] if dominators[p] != unknown]
            nearest = known[0]  # in this order one predecessor at least comes earlier
            for other in known[1:]:
                nearest = _common_dominator(dominators, nearest, other)
            if dominators[index] != nearest:
                dominators[index] = nearest
                changed = True
    return dominators


def _common_dominator(dominators: list[int], a: int, b: int) -> int:
    while a != b:
        while a > b:
            a = dominators[a]
        while b > a:
            b = dominators[b]
    return a
