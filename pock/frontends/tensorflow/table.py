"""The table of the importer: TensorFlow operation -> handler.

Handlers live in `ops`, one module per op family as in the dialects. An operation without a handler
is refused with its source line, unless all that it reads is known while importing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from xdsl.ir import SSAValue

from pock.frontends.common import table as common
from pock.frontends.common.refusal import Refusal
from pock.frontends.tensorflow.structure import dtype_name
from pock_ir.build import Emitter
from pock_ir.types import Array, Tensor, tensor

Result = Any
"""What a handler returns: a value, or one for each result; None for one that cannot be used."""


class Operands(common.Operands, Protocol):
    """How a call reaches its operands; `graph` implements it."""

    def key(self) -> tuple[SSAValue, SSAValue]: ...


class Call(common.NumberedCall):
    """One node with its operands: `call.attr(name)` is an attribute."""

    def __init__(
        self,
        node: Any,
        values: Sequence[Any],
        emit: Emitter,
        operands: Operands,
        memory: dict[Any, Any],
    ) -> None:
        super().__init__(node.type, values, emit, operands, memory)
        self.node = node
        self._key = operands.key

    def value(self, index: int) -> Any:
        """Operand `index` as the importer holds it."""
        return self._values[index]

    def fixed(self, index: int, what: str) -> Array:
        """The numbers of operand `index`. Raises Refusal if they are not known."""
        found = self.known(index)
        if found is None:
            raise Refusal(f"{what} depends on data", "use sizes that do not change")
        return found

    def ints(self, index: int, what: str) -> list[int]:
        """The integers of operand `index`, one or several. Raises Refusal as `fixed` does."""
        return [int(n) for n in self.fixed(index, what).reshape(-1)]

    def key(self) -> tuple[SSAValue, SSAValue]:
        """@train's seed and step. Raises Refusal outside of training."""
        return self._key()

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


Handler = Callable[[Call], Result]

_TABLE: common.Table[str, Handler] = common.Table(f"{__package__}.ops")

handles, handlers = _TABLE.handles, _TABLE.handlers
