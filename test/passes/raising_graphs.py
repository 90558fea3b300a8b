"""Small graphs, written like array code, that are run before and after raising."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import UNKNOWN_LOC, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import (
    AddOp,
    CompareOp,
    DivOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    PowerOp,
    SelectOp,
    SubOp,
)
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp, ReshapeOp, TransposeOp
from pock_ir.interpret import run_block, run_function
from pock_ir.op import PockOp, attribute
from pock_ir.passes.autodiff.engine import Request, build_gradients, is_differentiable
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.types import Array, dtype_named, dtype_of, shape_of, tensor
from pock_ir.verify import verify_module


@dataclass(frozen=True, eq=False)
class T:
    """A tensor with operators that broadcast as numpy's do."""

    emit: Emitter
    value: SSAValue

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    def _with(self, value: SSAValue) -> T:
        return T(self.emit, value)

    def lift(self, other: T | float) -> T:
        """A number as a rank-0 constant of this element type."""
        if isinstance(other, T):
            return other
        dtype = dtype_of(self.value)
        number = float(other) if dtype.is_float else int(other)
        return self._with(self.emit(ConstantOp, value=number, type=tensor((), dtype.type)))

    def spread(self, shape: Sequence[int]) -> T:
        """Repeated to `shape`; dims align at the end."""
        own, full = self.shape, tuple(shape)
        if own == full:
            return self
        lead = len(full) - len(own)
        axes = [lead + i for i, size in enumerate(own) if size == full[lead + i]]
        kept = self.reshape([full[axis] for axis in axes])
        return self._with(self.emit(BroadcastOp, kept.value, shape=full, axes=axes))

    def binary(self, op_type: type[PockOp], other: T | float, flip: bool = False, **words) -> T:
        sides = (self.lift(other), self) if flip else (self, self.lift(other))
        shape = np.broadcast_shapes(*(side.shape for side in sides))
        return self._with(
            self.emit(op_type, *(side.spread(shape).value for side in sides), **words)
        )

    def unary(self, op_type: type[PockOp], **words) -> T:
        return self._with(self.emit(op_type, self.value, **words))

    def __add__(self, other):
        return self.binary(AddOp, other)

    def __radd__(self, other):
        return self.binary(AddOp, other, True)

    def __sub__(self, other):
        return self.binary(SubOp, other)

    def __rsub__(self, other):
        return self.binary(SubOp, other, True)

    def __mul__(self, other):
        return self.binary(MulOp, other)

    def __rmul__(self, other):
        return self.binary(MulOp, other, True)

    def __truediv__(self, other):
        return self.binary(DivOp, other)

    def __rtruediv__(self, other):
        return self.binary(DivOp, other, True)

    def __neg__(self):
        return self.unary(NegOp)

    def __pow__(self, exponent: float):
        return self.unary(PowerOp, exponent=float(exponent))

    def __matmul__(self, other):
        flags = {"transpose_lhs": False, "transpose_rhs": False}
        return self._with(self.emit(MatMulOp, self.value, other.value, **flags))

    def compare(self, predicate: str, other: T | float) -> T:
        return self.binary(CompareOp, other, predicate=predicate)

    def where(self, true: T | float, false: T | float) -> T:
        """`true` where this holds, else `false`; one of them is a tensor of this shape."""
        like = true if isinstance(true, T) else false
        branches = [like.lift(side).spread(self.shape).value for side in (true, false)]
        return self._with(self.emit(SelectOp, self.value, *branches))

    def maximum(self, other: T | float) -> T:
        return self.binary(MaximumOp, other)

    def minimum(self, other: T | float) -> T:
        return self.binary(MinimumOp, other)

    def reduce(self, op_type: type[PockOp], *axes: int, keep: bool = True) -> T:
        """Over `axes`, which stay as size 1 if `keep`."""
        rank = len(self.shape)
        dims = sorted(axis % rank for axis in axes)
        value = self._with(self.emit(op_type, self.value, axes=dims))
        kept = [1 if axis in dims else size for axis, size in enumerate(self.shape)]
        return value.reshape(kept) if keep else value

    def sum(self, *axes: int, keep: bool = True) -> T:
        return self.reduce(SumOp, *axes, keep=keep)

    def mean(self, *axes: int, keep: bool = True) -> T:
        return self.reduce(MeanOp, *axes, keep=keep)

    def max(self, *axes: int, keep: bool = True) -> T:
        return self.reduce(MaxOp, *axes, keep=keep)

    def reshape(self, shape: Sequence[int]) -> T:
        shape = tuple(shape)
        return self if shape == self.shape else self.unary(ReshapeOp, shape=shape)

    def transpose(self, *order: int) -> T:
        return self.unary(TransposeOp, permutation=order)

    def iota(self, shape: Sequence[int], axis: int, dtype: str = "i32") -> T:
        return self._with(self.emit(IotaOp, axis=axis, type=tensor(shape, dtype)))


Arguments = Sequence[Sequence[int] | tuple[Sequence[int], str]]
"""The shape of each argument, with its element type if that is not the float of the test."""


@dataclass(frozen=True)
class Graph:
    """`form` applied to arguments; it returns one tensor or several."""

    form: Callable[..., T | Sequence[T]]
    arguments: Arguments

    def types(self, floats: str) -> list:
        pairs = [a if a and isinstance(a[-1], str) else (a, floats) for a in self.arguments]
        return [tensor(shape, dtype) for shape, dtype in pairs]

    def module(self, floats: str = "f32") -> ModuleOp:
        """A function @f that returns what the form returns."""
        types = self.types(floats)
        block = Block(arg_types=types)
        emit = Emitter.at_end(block, UNKNOWN_LOC)
        found = self.form(*(T(emit, argument) for argument in block.args))
        values = [t.value for t in (found if isinstance(found, Sequence) else [found])]
        block.add_op(ReturnOp(*values))
        function = FuncOp("f", (types, [value.type for value in values]), Region(block))
        return ModuleOp([function], {"pock.level": attribute("nn")})

    def raised(self, floats: str = "f32", **options) -> ModuleOp:
        """After the stages up to raising."""
        module = self.module(floats)
        for action in (CanonicalizePass(), SimplifyPass(), RaiseOpsPass(**options)):
            action.apply(make_context(), module)
            verify_module(module)
        return module

    def arrays(self, floats: str = "f32", seed: int = 0) -> list[Array]:
        rng = np.random.default_rng(seed)
        return [_draw(rng, type) for type in self.types(floats)]


def _draw(rng: np.random.Generator, type) -> Array:
    dtype = dtype_of(type)
    if dtype.name == "i1":
        return rng.random(shape_of(type)) < 0.6
    if not dtype.is_float:
        return rng.integers(0, 2, shape_of(type)).astype(dtype.numpy)
    return (rng.standard_normal(shape_of(type)) + 0.3).astype(dtype_named(dtype.name).numpy)


def op_names(module: ModuleOp) -> list[str]:
    """The ops of @f but its return."""
    (function,) = module.ops
    return [op.name.removeprefix("nn.") for op in function.body.block.ops][:-1]


def counts(module: ModuleOp) -> Mapping[str, int]:
    names = op_names(module)
    return {name: names.count(name) for name in dict.fromkeys(names)}


def check_equal(graph: Graph, arrays: Sequence[Array] | None = None, **options) -> None:
    """Results in f32 and in f64, and gradients in f64, are those of the graph as written."""
    for floats, tolerance in (("f32", 2e-5), ("f64", 1e-11)):
        given = graph.arrays(floats) if arrays is None else [_as(a, floats) for a in arrays]
        before = run_function(graph.module(floats), "f", given)
        after = run_function(graph.raised(floats, **options), "f", given)
        for old, new in zip(before, after, strict=True):
            np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance)
    given = graph.arrays("f64") if arrays is None else [_as(a, "f64") for a in arrays]
    old = gradients(graph.module("f64"), given)
    new = gradients(graph.raised("f64", **options), given)
    for before, after in zip(old, new, strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-10)


def _as(array: Array, floats: str) -> Array:
    is_float = np.issubdtype(np.asarray(array).dtype, np.floating)
    return np.asarray(array, dtype_named(floats).numpy) if is_float else array


def gradients(module: ModuleOp, arrays: Sequence[Array]) -> list[Array]:
    """Of the sum of all results, each weighted at random, to every float argument."""
    (function,) = module.ops
    block = function.body.block
    results = [v for v in block.last_op.operands if is_differentiable(v)]
    wanted = [argument for argument in block.args if is_differentiable(argument)]
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape_of(value)) for value in results]
    arguments = [block.insert_arg(value.type, len(block.args)) for value in results]
    block.erase_op(block.last_op)
    emit = Emitter.at_end(block, UNKNOWN_LOC)
    loss: T | None = None
    for value, weight in zip(results, arguments, strict=True):
        product = T(emit, value) * T(emit, weight)
        term = product.sum(*range(len(product.shape)), keep=False)
        loss = term if loss is None else loss + term
    block.add_op(ReturnOp(loss.value))
    found = build_gradients(block, loss.value, [Request(value) for value in wanted])
    zeros = [i for i, value in enumerate(found) if value is None]
    block.erase_op(block.last_op)
    block.add_op(ReturnOp(*(value for value in found if value is not None)))
    computed = run_block(block, [*arrays, *weights])
    for index in zeros:
        computed.insert(index, np.zeros(shape_of(wanted[index])))
    return computed
