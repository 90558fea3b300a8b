"""The table of the importer: JAX primitive -> handler, and named calls that are taken whole.

Handlers live in `ops`, one module per op family as in the dialects. A primitive without a handler
is refused with its source line, unless all that it reads is known while importing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from xdsl.ir import SSAValue

from pock.frontends.common import table as common
from pock.frontends.common.refusal import Refusal
from pock_ir.build import Emitter
from pock_ir.types import Tensor, dtype_of, dtype_of_numpy, shape_of, tensor

Result = SSAValue | Sequence[SSAValue]


class Decline(Exception):
    """A named call cannot be taken whole; its body is imported instead."""


def tensor_type_of(aval: Any) -> Tensor:
    """The tensor type of an abstract value.

    Raises Refusal for an element type that pock does not carry and a tensor without elements.
    """
    try:
        name = dtype_of_numpy(aval.dtype).name
    except (KeyError, TypeError):
        raise Refusal(f"element type {aval.dtype} is not supported") from None
    if 0 in aval.shape:
        raise Refusal(f"a tensor of shape {list(aval.shape)} has no elements")
    return tensor(aval.shape, name)


class Operands(common.Operands, Protocol):
    """How a call reaches its operands; `values` implements it."""

    def is_key(self, value: Any) -> bool: ...
    def random(self) -> common.Random: ...


class Call(common.NumberedCall):
    """One primitive, or one named call, with its operands.

    name: the primitive, or the kind of a named call. params: what it was given beside operands: a
    primitive's parameters, or the arguments of a named call that are no arrays. names: of the
    operands of a named call. avals, outputs: abstract values of operands and results. emit:
    inserts ops at the location of the call. memory: shared by all calls of a function.
    """

    def __init__(
        self,
        name: str,
        params: Mapping[str, Any],
        values: Sequence[Any],
        avals: Sequence[Any],
        outputs: Sequence[Any],
        emit: Emitter,
        operands: Operands,
        memory: dict[Any, Any],
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(name, values, emit, operands, memory)
        self.params = params
        self.names = tuple(names)
        self.avals = avals
        self.outputs = outputs
        self._is_key = operands.is_key
        self._random = operands.random

    def at(self, name: str) -> int | None:
        """The number of the operand that a named call calls `name`; None if it is no array."""
        return self.names.index(name) if name in self.names else None

    def is_key(self, index: int) -> bool:
        """Whether operand `index` is a random key of the training step."""
        return self._is_key(self._values[index])

    def random(self) -> common.Random:
        """A random stream of its own. Raises Refusal outside of training."""
        return self._random()

    def type(self, index: int = 0) -> Tensor:
        """The type of result `index`, as JAX inferred it. Raises Refusal if pock has no such."""
        return tensor_type_of(self.outputs[index])

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """The shape of result `index`."""
        return shape_of(self.type(index))

    def dtype(self, index: int = 0) -> str:
        """The element type of result `index`, by MLIR name. Raises Refusal as `type` does."""
        return dtype_of(self.type(index)).name


Handler = Callable[[Call], Result]

_PRIMITIVES: common.Table[str, Handler] = common.Table(f"{__package__}.ops")
_WHOLE: common.Table[str, Handler] = common.Table(f"{__package__}.ops")

handles, handlers = _PRIMITIVES.handles, _PRIMITIVES.handlers
# By kind of a named call, see `markers`; such a handler may raise Decline.
takes_whole, whole_handlers = _WHOLE.handles, _WHOLE.handlers
