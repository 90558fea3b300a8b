"""A sample: one op with operands and properties, from which tests of every kind are made.

Operands state shape, dtype and how their values are drawn. Floats are f32 in the table and f64
on demand, for tests by finite differences; an operand that stays f32 says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from pock_ir.op import AttributeLike, PockOp
from pock_ir.types import Array, Tensor, dtype_named, tensor

# Draws the values of one operand, from the operands before it.
Draw = Callable[[np.random.Generator, tuple[int, ...], Sequence[Array]], Any]


@dataclass(frozen=True)
class Operand:
    """shape, dtype by its MLIR name, values; `fixed` operands keep their dtype in every variant."""

    shape: tuple[int, ...]
    dtype: str
    draw: Draw
    fixed: bool = False

    def type(self, floats: str = "f32") -> Tensor:
        """The tensor type, with `floats` in place of f32."""
        return tensor(self.shape, self.dtype_name(floats))

    def dtype_name(self, floats: str) -> str:
        return floats if self.dtype == "f32" and not self.fixed else self.dtype


def normal(*shape: int) -> Operand:
    """Standard normal values."""
    return Operand(shape, "f32", lambda rng, size, _: rng.standard_normal(size))


def positive(*shape: int) -> Operand:
    """Values in [0.5, 2): away from 0, where quotients and logarithms grow."""
    return Operand(shape, "f32", lambda rng, size, _: rng.uniform(0.5, 2.0, size))


def distinct(*shape: int) -> Operand:
    """Values at least 1/8 apart and from 0: no ties, no kinks nearby."""

    def draw(rng: np.random.Generator, size: tuple[int, ...], _: Sequence[Array]) -> Any:
        count = int(np.prod(size))
        return ((rng.permutation(count) - count // 2 + 0.5) / 8).reshape(size)

    return Operand(shape, "f32", draw)


def integers(low: int, high: int, *shape: int, dtype: str = "i64") -> Operand:
    """Integers in [low, high)."""
    return Operand(shape, dtype, lambda rng, size, _: rng.integers(low, high, size))


def booleans(*shape: int) -> Operand:
    """True for about two thirds."""
    return Operand(shape, "i1", lambda rng, size, _: rng.random(size) < 2 / 3)


def given(values: Any, dtype: str = "f32", fixed: bool = False) -> Operand:
    """Exactly these values."""
    array = np.array(values)
    return Operand(array.shape, dtype, lambda rng, size, _: array, fixed)


def computed(shape: Sequence[int], values: Callable[..., Any]) -> Operand:
    """`values(*operands before)`: for what a forward op has left to a gradient."""
    return Operand(tuple(shape), "f32", lambda rng, size, before: values(*before))


@dataclass(frozen=True)
class Sample:
    """One op of class `op_type` and why it is worth a test.

    smooth: whether the op is differentiable at these values and a small step around them.
    """

    op_type: type[PockOp]
    operands: tuple[Operand, ...]
    properties: Mapping[str, AttributeLike]
    id: str
    reason: str
    smooth: bool = field(default=True, kw_only=True)

    def __str__(self) -> str:
        return f"{self.op_type.name}-{self.id}"

    def types(self, floats: str = "f32") -> list[Tensor]:
        """The operand types, with `floats` in place of f32."""
        return [operand.type(floats) for operand in self.operands]

    def arrays(self, floats: str = "f32") -> list[Array]:
        """The operands' values; the same in every process, and for f64 those of f32 unrounded."""
        rng = np.random.default_rng(crc32(str(self).encode()))
        arrays: list[Array] = []
        for operand in self.operands:
            with np.errstate(all="ignore"):
                values = operand.draw(rng, operand.shape, arrays)
            arrays.append(np.asarray(values, dtype_named(operand.dtype_name(floats)).numpy))
        return arrays

    def op(self, floats: str = "f32") -> PockOp:
        """The op, on the arguments of a block of its own."""
        block = Block(arg_types=self.types(floats))
        op = self.op_type.make(*block.args, **self.properties)
        block.add_op(op)
        return op

    def module(self, floats: str = "f32", level: str = "train") -> ModuleOp:
        """A module with a function @main that returns the op's results."""
        op = self.op(floats)
        block = op.parent
        assert block is not None
        block.add_op(ReturnOp(*op.results))
        types = (self.types(floats), [result.type for result in op.results])
        function = FuncOp("main", types, Region(block))
        return ModuleOp([function], {"pock.level": _text(level)})

    def evaluate(self, floats: str = "f32") -> list[Array]:
        """The reference results."""
        from pock_ir.interpret import evaluate_op

        return evaluate_op(self.op(floats), self.arrays(floats))


def _text(value: str) -> Any:
    from pock_ir.op import attribute

    return attribute(value)
