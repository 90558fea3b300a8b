"""Building small training functions for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    ArrayAttr,
    DictionaryAttr,
    ModuleOp,
    StringAttr,
    UnitAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import AddOp, SquareOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import BroadcastOp
from pock_ir.interpret import find_function, run_function
from pock_ir.op import PockOp
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.signature import (
    Attributes,
    argument_attributes,
    described,
    kind_of,
    name_of,
    result_attributes,
    set_argument_attributes,
)
from pock_ir.passes.trained import MARK, TrainedSlice
from pock_ir.types import Array, shape_of, tensor

CONTEXT = make_context()


class Graph:
    """A @train function under construction: arguments as they are asked for, ops in order."""

    def __init__(self) -> None:
        self.block = Block()
        self.emit = Emitter.at_end(self.block, UNKNOWN_LOC)
        self.arguments: list[Attributes] = []

    def argument(self, kind: str, name: str, shape: Sequence[int], dtype: str = "f32") -> SSAValue:
        self.arguments.append(described(kind, name))
        return self.block.insert_arg(tensor(shape, dtype), len(self.block.args))

    def parameter(self, name: str, *shape: int, dtype: str = "f32") -> SSAValue:
        return self.argument("parameter", name, shape, dtype)

    def input(self, name: str, *shape: int, dtype: str = "f32") -> SSAValue:
        return self.argument("input", name, shape, dtype)

    def __call__(self, op: type[PockOp], *operands: SSAValue, **properties) -> SSAValue:
        return self.emit(op, *operands, **properties)

    def biased(self, x: SSAValue, bias: SSAValue) -> SSAValue:
        """x + bias along the last axis."""
        shape = shape_of(x)
        return self(AddOp, x, self(BroadcastOp, bias, shape=shape, axes=(len(shape) - 1,)))

    def total(self, x: SSAValue) -> SSAValue:
        """The sum of squares of x: every element gets another cotangent."""
        return self(SumOp, self(SquareOp, x), axes=list(range(len(shape_of(x)))))

    def module(self, loss: SSAValue, *updates: tuple[SSAValue, str]) -> ModuleOp:
        """A module whose @train returns `loss` and buffer updates."""
        results = [(loss, described("loss"))]
        results += [(value, described("update", name)) for value, name in updates]
        self.block.add_op(ReturnOp(*(value for value, _ in results)))
        types = [argument.type for argument in self.block.args]
        function = FuncOp(
            "train",
            (types, [value.type for value, _ in results]),
            Region(self.block),
            arg_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for entry in self.arguments),
            res_attrs=ArrayAttr(DictionaryAttr(dict(entry)) for _, entry in results),
        )
        module = ModuleOp([function], {"pock.level": StringAttr("nn")})
        module.verify()
        return module


def train(module: ModuleOp, what: Mapping[str, TrainedSlice | None]) -> ModuleOp:
    """A copy of `module` in which these parameters are marked, after autodiff."""
    copy = module.clone()
    function = find_function(copy, "train")
    entries = []
    for entry in argument_attributes(function):
        mark = {}
        if name_of(entry) in what:
            part = what[name_of(entry)]
            mark = {MARK: UnitAttr() if part is None else part.attribute()}
        entries.append({**entry, **mark})
    set_argument_attributes(function, entries)
    AutodiffPass().apply(CONTEXT, copy)
    copy.verify()
    return copy


def train_all(module: ModuleOp) -> ModuleOp:
    """`train` for every parameter."""
    entries = argument_attributes(find_function(module, "train"))
    return train(module, {name_of(e): None for e in entries if kind_of(e) == "parameter"})


def random_inputs(module: ModuleOp, seed: int = 0, name: str = "train") -> dict[str, Array]:
    """Normal values for the float arguments of a function, by name."""
    random = np.random.default_rng(seed)
    function = find_function(module, name)
    named = zip(function.args, argument_attributes(function), strict=True)
    return {
        name_of(entry): random.standard_normal(shape_of(value)).astype(np.float32)
        for value, entry in named
    }


def run_named(
    module: ModuleOp, inputs: Mapping[str, Array], name: str = "train_step"
) -> dict[tuple[str, str], Array]:
    """The results of a function by (kind, name), from its arguments by name or kind."""
    function = find_function(module, name)
    arrays = [inputs[name_of(entry) or kind_of(entry)] for entry in argument_attributes(function)]
    keys = [(kind_of(entry), name_of(entry)) for entry in result_attributes(function)]
    return dict(zip(keys, run_function(module, name, arrays), strict=True))


def gradients(module: ModuleOp, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The gradients that @train_step returns, by parameter."""
    results = run_named(module, inputs)
    return {name: array for (kind, name), array in results.items() if kind == "gradient"}


def ops_of(module: ModuleOp, name: str = "train_step") -> list[str]:
    """The names of the ops of a function, in order."""
    return [op.name for op in find_function(module, name).body.block.ops]
