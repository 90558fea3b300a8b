"""The table of the importer: TensorFlow operation -> handler.

Handlers live in `ops`, one module per op family as in the dialects. An operation without a handler
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
from pock.frontends.tensorflow.structure import dtype_name
from pock_ir.build import Emitter
from pock_ir.types import Array, Tensor, tensor

Result = Any
"""What a handler returns: a value, or one for each result; None for one that cannot be used."""


@dataclass(frozen=True)
class Random:
    """What an op needs that draws random numbers: @train's seed and step, and its own stream.

    Streams count the random draws of the training graph in its order, from 0.
    """

    seed: SSAValue
    step: SSAValue
    stream: int


class Operands(Protocol):
    """How a call reaches its operands; `graph` implements it."""

    def tensor(self, value: Any) -> SSAValue: ...
    def known(self, value: Any) -> Array | None: ...
    def is_active(self, value: Any) -> bool: ...
    def key(self) -> tuple[SSAValue, SSAValue]: ...


class Call:
    """One node with its operands.

    `call.name` is the operation; `call.x(i)` is operand i as a tensor value; `call.known(i)` its
    numbers, if they are known while importing; `call.attr(name)` an attribute. `emit` inserts ops
    at the location of the node. `memory` is shared by all calls of a function.
    """

    def __init__(
        self,
        node: Any,
        values: Sequence[Any],
        emit: Emitter,
        operands: Operands,
        memory: dict[Any, Any],
    ) -> None:
        self.node = node
        self.name: str = node.type
        self.emit = emit
        self.memory = memory
        self._values = values
        self._operands = operands

    def __len__(self) -> int:
        return len(self._values)

    def x(self, index: int = 0) -> SSAValue:
        """Operand `index` as a tensor. Raises Refusal if it is none that pock carries."""
        return self._operands.tensor(self._values[index])

    def value(self, index: int) -> Any:
        """Operand `index` as the importer holds it."""
        return self._values[index]

    def known(self, index: int) -> Array | None:
        """The numbers of operand `index`, or None if they depend on what the program is given."""
        return self._operands.known(self._values[index])

    def fixed(self, index: int, what: str) -> Array:
        """The numbers of operand `index`. Raises Refusal if they are not known."""
        found = self.known(index)
        if found is None:
            raise Refusal(f"{what} depends on data", "use sizes that do not change")
        return found

    def ints(self, index: int, what: str) -> list[int]:
        """The integers of operand `index`, one or several. Raises Refusal as `fixed` does."""
        return [int(n) for n in self.fixed(index, what).reshape(-1)]

    def number(self, index: int) -> float | int | bool | None:
        """The number that all elements of operand `index` are, if that is known."""
        array = self.known(index)
        if array is None or array.size == 0 or (array != array.flat[0]).any():
            return None
        return array.flat[0].item()

    def is_active(self, index: int) -> bool:
        """Whether a gradient would pass operand `index` on its way to a parameter."""
        return self._operands.is_active(self._values[index])

    def key(self) -> tuple[SSAValue, SSAValue]:
        """@train's seed and step. Raises Refusal outside of training."""
        return self._operands.key()

    def attr(self, name: str) -> Any:
        """An attribute; text as str."""
        value = self.node.get_attr(name)
        return value.decode() if isinstance(value, bytes) else value

    def dtype(self, index: int = 0) -> str:
        """The element type of result `index`, by MLIR name. Raises Refusal if pock has none."""
        return dtype_name(self.node.outputs[index].dtype)

    def type(self, shape: Sequence[int], index: int = 0) -> Tensor:
        """A tensor type with the element type of result `index`."""
        return tensor(shape, self.dtype(index))

    def refuse(self, reason: str, help: str | None = None) -> NoReturn:
        """Raise Refusal: this call cannot be imported."""
        raise Refusal(reason, help)

    def require(self, condition: bool, reason: str, help: str | None = None) -> None:
        """Raise Refusal unless `condition` holds."""
        if not condition:
            raise Refusal(reason, help)


Handler = Callable[[Call], Result]

_HANDLERS: dict[str, Handler] = {}


def handles(*operations: str) -> Callable[[Handler], Handler]:
    """Decorator: the function imports `operations`. Raises ValueError on a second claim."""

    def add(handler: Handler) -> Handler:
        for name in operations:
            if name in _HANDLERS:
                raise ValueError(f"{name} has a handler already")
            _HANDLERS[name] = handler
        return handler

    return add


@cache
def handlers() -> Mapping[str, Handler]:
    """The whole table; loads every module of `ops` on first use."""
    package = import_module(f"{__package__}.ops")
    for name in sorted(info.name for info in iter_modules(package.__path__)):
        import_module(f"{package.__name__}.{name}")
    return _HANDLERS
