"""The table of the importer: PyTorch operator -> handler.

Handlers live in `ops`, one module per op family as in the dialects. An operator with a handler
is kept whole by `capture`; every other one is decomposed by PyTorch's default table first.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch._ops import OpOverload
from torch.fx import Node
from torch.fx.node import map_arg
from xdsl.ir import SSAValue

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.table import BaseCall, Random, Table
from pock_ir.build import Emitter
from pock_ir.types import Tensor, shape_of, tensor

Value = SSAValue | tuple[SSAValue | None, ...]

DTYPE_NAMES: Mapping[torch.dtype, str] = {
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.float32: "f32",
    torch.float64: "f64",
    torch.bool: "i1",
    torch.int8: "i8",
    torch.int16: "i16",
    torch.int32: "i32",
    torch.int64: "i64",
}
"""PyTorch's element types that pock carries, by MLIR name."""


def tensor_type_of(value: torch.Tensor) -> Tensor:
    """The static tensor type of a (fake) tensor.

    Raises Refusal for an element type that pock does not carry, a size that is not a number,
    and a tensor without elements.
    """
    name = DTYPE_NAMES.get(value.dtype)
    if name is None:
        raise Refusal(f"element type {value.dtype} is not supported")
    sizes = list(value.shape)
    if not all(isinstance(size, int) for size in sizes):
        raise Refusal(f"shape {sizes} is not static", "export the model without dynamic shapes")
    if 0 in sizes:
        raise Refusal(f"a tensor of shape {sizes} has no elements")
    return tensor(sizes, name)


class Call(BaseCall):
    """One call of an operator: its arguments by schema name, with imported tensors.

    `call["dim"]` is an argument as PyTorch has it, with the schema's default if it was left out;
    tensors in it are SSA values. `call.tensor("self")` insists on a tensor. `emit` inserts ops
    at the location of the call; `random()` is asked by operators that draw random numbers.
    """

    def __init__(
        self,
        node: Node,
        arguments: Mapping[str, Any],
        emit: Emitter,
        random: Callable[[], Random],
    ) -> None:
        super().__init__(emit)
        self.node = node
        self.random = random
        self._arguments = arguments

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    def names(self) -> Iterable[str]:
        """The names of the arguments in the schema's order."""
        return self._arguments

    def tensor(self, name: str) -> SSAValue:
        """The argument `name` as a tensor. Raises Refusal if it is something else."""
        value = self._arguments[name]
        if not isinstance(value, SSAValue):
            self.refuse(f"argument {name} should be a tensor")
        return value

    def optional(self, name: str) -> SSAValue | None:
        """The tensor `name`, or None if it was not given."""
        return None if self._arguments[name] is None else self.tensor(name)

    def meta(self, name: str) -> Any:
        """The argument `name` with PyTorch's (fake) tensors in place of SSA values."""
        return map_arg(call_arguments(self.node)[name], lambda node: node.meta["val"])

    def result(self, index: int = 0) -> Tensor:
        """The type of result number `index`, as PyTorch inferred it."""
        value = self.node.meta["val"]
        return tensor_type_of(value[index] if isinstance(value, list | tuple) else value)

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """The shape of result number `index`."""
        return shape_of(self.result(index))


Handler = Callable[[Call], Value]

_TABLE: Table[OpOverload, Handler] = Table(f"{__package__}.ops")

handles, handlers = _TABLE.handles, _TABLE.handlers


def call_arguments(node: Node) -> dict[str, Any]:
    """The arguments of `node` by schema name, defaults included, with FX nodes for tensors."""
    assert isinstance(node.target, OpOverload)
    found: dict[str, Any] = {}
    positional: Sequence[Any] = node.args
    for index, argument in enumerate(node.target._schema.arguments):
        if index < len(positional):
            found[argument.name] = positional[index]
        else:
            found[argument.name] = node.kwargs.get(argument.name, argument.default_value)
    return found


def needed_nodes(roots: Iterable[Node], leaves: Container[str] = ()) -> set[Node]:
    """The nodes that `roots` depend on, and the roots.

    leaves: names of nodes whose values are there already: what they depend on is not needed.
    """
    needed, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        sources = [] if node.name in leaves else node.all_input_nodes
        stack += [source for source in sources if source not in needed]
        needed.update(sources)
    return needed
