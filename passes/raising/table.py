"""A row of a table of raises, and what its builder is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.rewriter import InsertPoint

from pock_ir.build import Emitter
from pock_ir.op import AttributeLike, PockOp
from pock_ir.passes.raising.match import Captures, Pattern
from pock_ir.passes.raising.views import Shape, View, lay
from pock_ir.types import shape_of

Op = TypeVar("Op", bound=Operation)


class Recorder(Emitter):
    """An emitter that remembers the classes of the ops that it inserted."""

    def __init__(self, op: Operation) -> None:
        super().__init__(InsertPoint.before(op), op.location)
        self.made: set[type[Operation]] = set()

    def insert(self, op: Op) -> Op:
        self.made.add(type(op))
        return super().insert(op)


class Found:
    """A root op that fits a pattern.

    emit: inserts before the root. In `same`, a builder may name further values that results of
    the new op equal; they are replaced as well.
    """

    def __init__(self, root: Operation, captures: Captures) -> None:
        self.root = root
        self.captures = captures
        self.emit = Recorder(root)
        self.same: list[tuple[SSAValue, SSAValue]] = []

    def move_before(self, op: Operation) -> None:
        """Insert before `op` from here on."""
        self.emit.point = InsertPoint.before(op)

    @property
    def frame(self) -> Shape:
        """The shape of the root."""
        return shape_of(self.root.results[0])

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of the frame that reductions are over, without those of size 1."""
        return self.captures["axes"]

    def view(self, name: str) -> View:
        return cast(View, self.captures[name])

    def number(self, name: str) -> float:
        return float(self.captures[name])

    def lay(self, name: str, axes: Sequence[int] | None = None) -> SSAValue:
        """The captured value along `axes` of the frame, by default along all of them."""
        return lay(self.emit, self.view(name), self.frame, self.all_axes if axes is None else axes)

    @property
    def all_axes(self) -> range:
        return range(len(self.frame))

    def make(
        self, op_type: type[PockOp], *operands: SSAValue, **properties: AttributeLike
    ) -> SSAValue:
        """The first result of a new op."""
        return self.emit.op(op_type, *operands, **properties).results[0]


Build = Callable[[Found], SSAValue | None]


@dataclass(frozen=True)
class Raise:
    """What fits `pattern` with an op of one of the classes `roots` at its end becomes `build`.

    `build` returns a value of the root's type, or None if what was found is not the op after all;
    it then has emitted nothing.
    """

    name: str
    roots: tuple[type[Operation], ...]
    pattern: Pattern
    build: Build


def is_argument(view: View) -> bool:
    """Whether the base is an argument of the function, which is there from the beginning."""
    return isinstance(view.base, BlockArgument)
