"""Which taps of a one-dimensional window meet which positions, and how a row is cut into blocks.

Plain arithmetic for depthwise kernels: sizes and padding are constants, so the taps that fall
outside are left out when the text is written, and no condition remains in the inner loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, pairwise

from pock_ir.targets.c.kernels.gemm_plan import Split

Meets = Callable[[int], list[tuple[int, int]]]
"""For an output position, the pairs (tap, input position) that lie inside the input."""


@dataclass(frozen=True)
class Line:
    """One spatial dim of a convolution: input and output size, and its window."""

    size: int
    output: int
    kernel: int
    stride: int
    dilation: int
    low: int

    def forward(self, position: int) -> list[tuple[int, int]]:
        """(tap, position in x) for a position in y."""
        pairs = [
            (k, position * self.stride + k * self.dilation - self.low) for k in range(self.kernel)
        ]
        return [(k, at) for k, at in pairs if 0 <= at < self.size]

    def backward(self, position: int) -> list[tuple[int, int]]:
        """(tap, position in y) for a position in x."""
        shifts = [(k, position + self.low - k * self.dilation) for k in range(self.kernel)]
        pairs = [(k, s // self.stride) for k, s in shifts if s % self.stride == 0]
        return [(k, at) for k, at in pairs if 0 <= at < self.output]


@dataclass(frozen=True)
class Block:
    """`size` output positions that are computed together.

    meets: triples (output, tap, input), outputs and inputs counted from the block's first ones.
    """

    size: int
    meets: tuple[tuple[int, int, int], ...]

    @property
    def inputs(self) -> list[int]:
        """The input positions that are read, ascending."""
        return sorted({at for _, _, at in self.meets})


@dataclass(frozen=True)
class Run:
    """`count` equal blocks: the first begins at `output` and `input`; `advance` is the input's
    step from one to the next."""

    block: Block
    count: int
    output: int
    input: int
    advance: int


def runs(outputs: int, most: int, multiple: int, meets: Meets) -> list[Run]:
    """`outputs` positions cut into blocks of at most `most`, equal neighbours joined into runs.

    Blocks begin at multiples of `multiple`, so that with a stride all see the same taps.
    """
    size = max(multiple, most // multiple * multiple)
    groups = Split(-(-outputs // multiple), -(-outputs // size))
    starts = [groups.start(index) * multiple for index in range(groups.count)]
    ends = [*starts[1:], outputs]
    blocks = [_block(start, end, meets) for start, end in zip(starts, ends, strict=True)]
    joined: list[Run] = []
    for block, members in groupby(blocks, key=lambda item: item[2]):
        joined += _joined(block, [(output, at) for output, at, _ in members])
    return joined


def _block(start: int, end: int, meets: Meets) -> tuple[int, int, Block]:
    triples = [(p - start, tap, at) for p in range(start, end) for tap, at in meets(p)]
    first = min((at for _, _, at in triples), default=0)
    return start, first, Block(end - start, tuple((p, tap, at - first) for p, tap, at in triples))


def _joined(block: Block, members: list[tuple[int, int]]) -> list[Run]:
    """One run if the inputs advance evenly, else one per block."""
    steps = {b[1] - a[1] for a, b in pairwise(members)}
    if len(steps) <= 1:
        return [Run(block, len(members), *members[0], steps.pop() if steps else 0)]
    return [Run(block, 1, output, at, 0) for output, at in members]
