"""The table of the importer: JAX primitive -> handler, and named calls that are taken whole.

Handlers live in `ops`, one module per op family as in the dialects. A primitive without a handler
is refused with its source line, unless all that it reads is known while importing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn, Protocol

from xdsl.ir import SSAValue

from pock.frontends.common.refusal import Refusal
from pock_ir.build import Emitter
from pock_ir.types import Array, Tensor, dtype_of, dtype_of_numpy, shape_of, tensor

Result = SSAValue | Sequence[SSAValue]


class Decline(Exception):
    """A named call cannot be taken whole; its body is imported instead."""


@dataclass(frozen=True)
class Random:
    """What an op needs that draws random numbers: @train's seed and step, and its own stream.

    Streams count the random draws of the training graph in its order, from 0.
    """

    seed: SSAValue
    step: SSAValue
    stream: int


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


class Operands(Protocol):
    """How a call reaches its operands; `graph` implements it."""

    def tensor(self, value: Any) -> SSAValue: ...
    def known(self, value: Any) -> Array | None: ...
    def is_active(self, value: Any) -> bool: ...
    def is_key(self, value: Any) -> bool: ...
    def random(self) -> Random: ...


class Call:
    """One primitive, or one named call, with its operands.

    name: the primitive, or the kind of a named call. params: what it was given beside operands: a
    primitive's parameters, or the arguments of a named call that are no arrays. names: of the
    operands of a named call. avals, outputs: abstract values of operands and results. emit:
    inserts ops at the location of the call. memory: shared by all calls of a function.

    `call.x(i)` is operand i as a tensor; `call.known(i)` its numbers, if they are known while
    importing.
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
        self.name = name
        self.params = params
        self.names = tuple(names)
        self.avals = avals
        self.outputs = outputs
        self.emit = emit
        self.memory = memory
        self._values = values
        self._operands = operands

    def at(self, name: str) -> int | None:
        """The number of the operand that a named call calls `name`; None if it is no array."""
        return self.names.index(name) if name in self.names else None

    def __len__(self) -> int:
        return len(self._values)

    def x(self, index: int = 0) -> SSAValue:
        """Operand `index` as a tensor. Raises Refusal if it is none that pock carries."""
        return self._operands.tensor(self._values[index])

    def known(self, index: int) -> Array | None:
        """The numbers of operand `index`, or None if they depend on what the program is given."""
        return self._operands.known(self._values[index])

    def number(self, index: int) -> float | int | bool | None:
        """The number that all elements of operand `index` are, if that is known."""
        array = self.known(index)
        if array is None or array.size == 0 or (array != array.flat[0]).any():
            return None
        return array.flat[0].item()

    def is_active(self, index: int) -> bool:
        """Whether a gradient would pass operand `index` on its way to a parameter."""
        return self._operands.is_active(self._values[index])

    def is_key(self, index: int) -> bool:
        """Whether operand `index` is a random key of the training step."""
        return self._operands.is_key(self._values[index])

    def random(self) -> Random:
        """A random stream of its own. Raises Refusal outside of training."""
        return self._operands.random()

    def type(self, index: int = 0) -> Tensor:
        """The type of result `index`, as JAX inferred it. Raises Refusal if pock has no such."""
        return tensor_type_of(self.outputs[index])

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """The shape of result `index`."""
        return shape_of(self.type(index))

    def dtype(self, index: int = 0) -> str:
        """The element type of result `index`, by MLIR name. Raises Refusal as `type` does."""
        return dtype_of(self.type(index)).name

    def refuse(self, reason: str, help: str | None = None) -> NoReturn:
        """Raise Refusal: this call cannot be imported."""
        raise Refusal(reason, help)

    def require(self, condition: bool, reason: str, help: str | None = None) -> None:
        """Raise Refusal unless `condition` holds."""
        if not condition:
            raise Refusal(reason, help)


Handler = Callable[[Call], Result]

_HANDLERS: dict[str, Handler] = {}
_WHOLE: dict[str, Handler] = {}


def handles(*primitives: str) -> Callable[[Handler], Handler]:
    """Decorator: the function imports `primitives`. Raises ValueError on a second claim."""
    return _adder(_HANDLERS, primitives)


def takes_whole(*kinds: str) -> Callable[[Handler], Handler]:
    """Decorator: the function imports named calls of `kinds`, see `markers`; it may raise Decline.

    Raises ValueError on a second claim.
    """
    return _adder(_WHOLE, kinds)


def _adder(table: dict[str, Handler], names: Sequence[str]) -> Callable[[Handler], Handler]:
    def add(handler: Handler) -> Handler:
        for name in names:
            if name in table:
                raise ValueError(f"{name} has a handler already")
            table[name] = handler
        return handler

    return add


@cache
def _load() -> None:
    package = import_module(f"{__package__}.ops")
    for name in sorted(info.name for info in iter_modules(package.__path__)):
        import_module(f"{package.__name__}.{name}")


def handlers() -> Mapping[str, Handler]:
    """The whole table of primitives; loads every module of `ops` on first use."""
    _load()
    return _HANDLERS


def whole_handlers() -> Mapping[str, Handler]:
    """The table of named calls that are taken whole."""
    _load()
    return _WHOLE
