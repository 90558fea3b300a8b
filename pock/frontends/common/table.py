"""The table of an importer, operation -> handler, and what a handler sees of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from xdsl.ir import SSAValue

from pock.frontends.common.refusal import Refusal
from pock_ir.build import Emitter
from pock_ir.types import Array

Key = TypeVar("Key")
Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True)
class Random:
    """What an op needs that draws random numbers: @train's seed and step, and its own stream.

    Streams count the random draws of the training graph in its order, from 0.
    """

    seed: SSAValue
    step: SSAValue
    stream: int


class BaseCall:
    """One call of an operation. `emit` inserts ops at its location."""

    def __init__(self, emit: Emitter) -> None:
        self.emit = emit

    def refuse(self, reason: str, help: str | None = None) -> NoReturn:
        """Raise Refusal: this call cannot be imported."""
        raise Refusal(reason, help)

    def require(self, condition: bool, reason: str, help: str | None = None) -> None:
        """Raise Refusal unless `condition` holds."""
        if not condition:
            raise Refusal(reason, help)


class Operands(Protocol):
    """How a call reaches its operands; `common.values.Values` implements it."""

    def tensor(self, value: Any) -> SSAValue: ...
    def known(self, value: Any) -> Array | None: ...
    def is_active(self, value: Any) -> bool: ...


class NumberedCall(BaseCall):
    """A call whose operands are numbered.

    name: the operation. `call.x(i)` is operand i as a tensor value; `call.known(i)` its numbers, if
    they are known while importing. `memory` is shared by all calls of a function.
    """

    def __init__(
        self,
        name: str,
        values: Sequence[Any],
        emit: Emitter,
        operands: Operands,
        memory: dict[Any, Any],
    ) -> None:
        super().__init__(emit)
        self.name = name
        self.memory = memory
        self._values = values
        self._operands = operands

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


class Table(Generic[Key, Handler]):
    """Handlers by operation; the modules of `package` fill it."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._handlers: dict[Key, Handler] = {}

    def handles(self, *keys: Key) -> Callable[[Handler], Handler]:
        """Decorator: the function imports `keys`. Raises ValueError on a second claim."""

        def add(handler: Handler) -> Handler:
            for key in keys:
                if key in self._handlers:
                    raise ValueError(f"{key} has a handler already")
                self._handlers[key] = handler
            return handler

        return add

    def handlers(self) -> Mapping[Key, Handler]:
        """The whole table; loads every module of the package on first use."""
        _load(self._package)
        return self._handlers


@cache
def _load(package: str) -> None:
    for info in sorted(iter_modules(import_module(package).__path__), key=lambda info: info.name):
        import_module(f"{package}.{info.name}")
