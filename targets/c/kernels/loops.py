"""The base of the kernels that are built as loops IR and written out as C.

`map` computes elementwise bodies, `reduce` sums and maxima, `rows` what is made of them:
softmax, normalisation, cross entropy. All three share one engine, `pock_ir.lowering.loops`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from pock_ir.dialects.kern import NONE, CallOp, updates_of
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.build import build_function
from pock_ir.lowering.loops.program import (
    Access,
    Dims,
    LoopProgram,
    Nest,
    collapsed,
    dims_of,
    nodes,
)
from pock_ir.lowering.loops.shape import expressions, has_wide_text, plan
from pock_ir.scalar import Expr
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.emit_loops import loops_to_c
from pock_ir.types import dtype_of, num_bytes, num_elements

CARRIED = frozenset(("f64", "f32", "i1", "i8", "i16", "i32", "i64"))
"""The element types that the C targets compute with; f64 as far as `has_wide_text` says."""

WORTH_SHARING = 20e-6
"""Seconds of work below which a second thread costs more than it saves."""

# Vector instructions per element, measured on x86-64-v4; everything else takes one.
WEIGHTS = {
    "div": 6,
    "sqrt": 6,
    "exp": 16,
    "log": 18,
    "tanh": 30,
    "erf": 36,
    "uniform": 90,
    "expm1": 20,
    "log1p": 26,
    "erfc": 50,
    "sin": 45,
    "cos": 45,
    "floor": 5,
    "round": 4,
    "pow": 600,  # one lane after the other
}


NEAR, NEARER = 3.0, 6.0
"""How much faster data come from the last cache and from the one before than from memory."""

SCATTER = 8
"""How many times as many bytes a strided access moves as it needs."""


def transfer_seconds(count: int, target: Target) -> float:
    """The time to move `count` bytes that were used a short while ago."""
    caches = target.caches
    speed = NEARER if count <= caches.l2 else NEAR if count <= caches.l3 else 1.0
    return count / (speed * target.rates.bandwidth)


def parameters(call: CallOp) -> list[str]:
    """The names of a kernel's arguments: a0, a1, ... for operands, r0, r1, ... for results."""
    operands = [f"a{index}" for index in range(len(call.operands))]
    return operands + [f"r{index}" for index in range(len(call.results))]


def function_text(call: CallOp, symbol: str, body: str) -> str:
    """The C function `symbol` with the arguments that every kernel of `call` has."""
    names = parameters(call)
    values = [*call.operands, *call.results]
    types = [dtype_of(value).c for value in values]
    fixed = ["const "] * len(call.operands) + [""] * len(call.results)
    arguments = [f"{c}{type} *{name}" for c, type, name in zip(fixed, types, names, strict=True)]
    arguments += ["unsigned char *scratch", "int part"]
    unused = [name for name in (*names, "scratch", "part") if not re.search(rf"\b{name}\b", body)]
    lines = [f"    (void){name};" for name in unused]
    return "\n".join([f"static void {symbol}({', '.join(arguments)})", "{", *lines, body, "}", ""])


class LoopKernel(Kernel):
    """A kernel whose code is a loop program of the call's body."""

    @abstractmethod
    def read(self, call: CallOp) -> LoopProgram:
        """The loop program of `call`. Raises Unsupported if this kernel does not take it."""

    def program(self, call: Operation) -> LoopProgram | None:
        """The loop program of a call that this kernel can run, else None."""
        if not isinstance(call, CallOp):
            return None
        names = _dtype_names(call)
        if not names <= CARRIED:
            return None
        try:
            program = self.read(call)
        except Unsupported:
            return None
        fits = "f64" not in names or all(map(has_wide_text, program.nests))
        return program if fits and _keeps_updates(call, program) else None

    def matches(self, call: Operation, target: Target) -> bool:
        return self.program(call) is not None

    def seconds(self, call: Operation, target: Target) -> float:
        program = self._required(call)
        moved = sum(num_bytes(value) for value in (*call.operands, *call.results))
        moved += sum(_scattered_bytes(nest) for nest in program.nests)
        work = sum(_instructions(program, nest, target) for nest in program.nests)
        return target.rates.call + max(
            transfer_seconds(moved, target), 2 * work / target.rates.flops
        )

    def _required(self, call: Operation) -> LoopProgram:
        program = self.program(call)
        if program is None:
            raise ValueError(f"kernel {self.name} does not take this call")
        return program

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        program = self._required(call)
        if program.scratch is None:
            return 0
        buffer = program.buffers[program.scratch]
        return buffer.elements * buffer.dtype.bytes

    def parts(self, call: Operation, target: Target) -> int:
        program = self._required(call)
        points = max((_kept_points(nest) for nest in program.nests), default=1)
        long = self.seconds(call, target) > WORTH_SHARING
        return min(target.threads, points) if long and program.split else 1

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        assert isinstance(call, CallOp)
        program = self._required(call)
        taken = {place for place in updates_of(call) if place != NONE}
        found: list[int] = []
        for index, update in enumerate(updates_of(call)):
            place = NONE if update != NONE else _reusable(call, program, index, taken)
            taken |= {place}
            found.append(place)
        return tuple(found)

    def function(self, call: CallOp, target: Target, symbol: str) -> FuncOp:
        """The loops IR of the kernel."""
        lanes = target.vector.lanes(4)
        return build_function(self._required(call), symbol, lanes, self.parts(call, target))

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        assert isinstance(call, CallOp)
        names = parameters(call)
        lines: list[str] = []
        if self.scratch_bytes(call, target):
            lines.append("    float *t0 = (float *)(void *)scratch;")
            names.append("t0")
        text = loops_to_c(self.function(call, target, symbol), target, [*names, "(size_t)part"])
        return function_text(call, symbol, "\n".join([*lines, text]))


def _dtype_names(call: CallOp) -> set[str]:
    """The element types of everything that the body computes with."""
    values = [*call.operands, *(result for op in call.body.block.ops for result in op.results)]
    return {dtype_of(value).name for value in values}


def _instructions(program: LoopProgram, original: Nest, target: Target) -> float:
    """Single-lane instructions of a nest, where scalar code wastes the other lanes."""
    nest = collapsed(original)
    lanes = target.vector.lanes(4)
    chosen = plan(program, nest, lanes)
    width = chosen.width
    size = nest.sizes[chosen.lane] if width > 1 else 0
    idle = -(-size // width) * width / size if size else 1.0  # incomplete registers
    found = {node for expression in expressions(nest) for node in nodes(expression)}
    dims: dict[Expr, Dims] = {}
    points = {node: prod(nest.sizes[dim] for dim in dims_of(nest, node, dims)) for node in found}
    work = sum(WEIGHTS.get(node.op, 1) * points[node] for node in found)
    return work * idle * lanes / width


def _scattered_bytes(original: Nest) -> int:
    """What accesses with a stride move in vain."""
    nest = collapsed(original)
    accesses = [a for a in nest.accesses() if isinstance(a, Access) and a.strides]
    strided = [a for a in accesses if a.strides[-1] not in (0, 1)]
    return sum(SCATTER * prod(nest.sizes) * a.dtype.bytes for a in strided)


def _kept_points(nest: Nest) -> int:
    return prod(nest.sizes[dim] for dim in nest.kept) if nest.kept else 1


def _places(nest: Nest, accesses: Sequence[Access]) -> set[tuple[tuple[int, ...], int]]:
    """Where accesses go, whatever they do along dims of size 1."""
    sizes = nest.sizes
    return {
        (tuple(0 if n == 1 else s for s, n in zip(a.strides, sizes, strict=True)), a.offset)
        for a in accesses
    }


def _is_safe(call: CallOp, program: LoopProgram, result: int, operand: int) -> bool:
    """Whether result and operand may share memory: each element is read where it is written."""
    for nest in program.nests:
        reads = [s for s in nest.sources if isinstance(s, Access) and s.buffer == operand]
        buffer = len(call.operands) + result
        writes = [store.to for store in nest.stores if store.to.buffer == buffer]
        if reads and not (writes and _places(nest, reads) == _places(nest, writes)):
            return False
    return True


def _keeps_updates(call: CallOp, program: LoopProgram) -> bool:
    pairs = enumerate(updates_of(call))
    return all(place == NONE or _is_safe(call, program, i, place) for i, place in pairs)


def _reusable(call: CallOp, program: LoopProgram, index: int, taken: set[int]) -> int:
    """The first operand whose memory result `index` may take, or NONE."""
    result = call.results[index]
    for place, operand in enumerate(call.operands):
        same = dtype_of(operand) == dtype_of(result)
        fits = same and num_elements(operand) == num_elements(result)
        if place not in taken and fits and _is_safe(call, program, index, place):
            return place
    return NONE
