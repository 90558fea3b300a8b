"""The values of one function while it is imported, and what calls ask of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import UNKNOWN_LOC
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.steps import (
    splat,
)
from pock.frontends.jax.known import WRITTEN, Known
from pock.frontends.jax.table import (
    Call,
    Handler,
    Random,
    handlers,
    tensor_type_of,
)
from pock_ir.build import Emitter
from pock_ir.types import Array, dtype_of, tensor_type

HELP_RANDOM = "dropout is supported: jax.random.bernoulli with a fixed probability, or a layer"


class Missing:
    """Takes the place of a value that could not be imported and has no type."""


class Key:
    """A random key of the training step; which one makes no difference to the counter."""


MISSING = Missing()
KEY = Key()


class Values:
    """The operands of calls; see `table.Operands`.

    stored: gives the argument for data that the program must carry. trained: the arguments that
    gradients are taken for. key: gives seed and step; None outside of training. has_gradient:
    whether the loss depends on what is imported now.
    """

    def __init__(
        self,
        block: Block,
        stored: Callable[[Array], SSAValue],
        trained: frozenset[BlockArgument],
        key: Callable[[], tuple[SSAValue, SSAValue]] | None,
    ) -> None:
        self.emit = Emitter.at_end(block, UNKNOWN_LOC)
        self.has_gradient = False
        self._block = block
        self._stored = stored
        self._active: dict[SSAValue, bool] = dict.fromkeys(trained, True)
        self._key = key
        self._streams = 0
        self._tensors: dict[Known, SSAValue] = {}
        self._memory: dict[Any, Any] = {}

    def handled(
        self,
        name: str,
        handler: Handler,
        params: Mapping[str, Any],
        equation: Any,
        operands: Sequence[Any],
        names: Sequence[str],
    ) -> Sequence[SSAValue]:
        avals = [atom.aval for atom in equation.invars]
        outputs = [variable.aval for variable in equation.outvars]
        call = Call(name, params, operands, avals, outputs, self.emit, self, self._memory, names)
        result = handler(call)
        values = [result] if isinstance(result, SSAValue) else list(result)
        for index, value in enumerate(values):
            if value.type != call.type(index):
                raise Refusal(f"was imported as {value.type}, but is {call.type(index)}")
        return values

    def tensor(self, value: Any) -> SSAValue:
        """`value` as a tensor of the program. Raises Refusal if it is none."""
        if isinstance(value, SSAValue):
            return value
        if not isinstance(value, Known):
            raise Refusal("a random key is used as data", HELP_RANDOM)
        if value not in self._tensors:
            self._tensors[value] = self._written(value)
        return self._tensors[value]

    def _written(self, value: Known) -> SSAValue:
        """A known value as ops, as a splat, or as stored data."""
        written = None if value.is_small else self._as_ops(value)
        if written is not None:
            return written
        array = value.array
        if (array == array.flat[0]).all():
            return splat(self.emit, array.flat[0].item(), tensor_type_of(value.aval))
        return self._stored(np.ascontiguousarray(array).reshape(array.shape))

    def _as_ops(self, value: Known) -> SSAValue | None:
        """The ops that compute a known value; None if they are none of those in WRITTEN."""
        equation, last = value.equation, self.last()
        if equation is None or equation.primitive.name not in WRITTEN:
            return None
        name = equation.primitive.name
        try:
            made = self.handled(
                name, handlers()[name], equation.params, equation, value.operands, ()
            )
        except (Refusal, VerifyException):
            self.discard_after(last)
            return None
        return made[0]

    def known(self, value: Any) -> Array | None:
        """The numbers of a known value, or None."""
        return value.array if isinstance(value, Known) else None

    def is_key(self, value: Any) -> bool:
        """Whether `value` is a key of the training step."""
        return value is KEY

    def random(self) -> Random:
        """seed, step and a stream of its own. Raises Refusal outside of training."""
        if self._key is None:
            raise Refusal("random numbers are drawn outside of training", HELP_RANDOM)
        self._streams += 1
        return Random(*self._key(), self._streams - 1)

    def is_active(self, value: Any) -> bool:
        """Whether a gradient of `value` would reach a trained parameter."""
        if not isinstance(value, SSAValue) or not self.has_gradient:
            return False
        stack = [value]
        while stack:
            top = stack[-1]
            owner = top.owner
            sources = owner.operands if isinstance(owner, Operation) else ()
            pending = [source for source in sources if source not in self._active]
            if top in self._active or not pending:
                stack.pop()
                has_gradient = dtype_of(tensor_type(top)).is_float
                reaches = any(self._active[source] for source in sources)
                self._active.setdefault(top, has_gradient and reaches)
            else:
                stack.extend(pending)
        return self._active[value]

    def last(self) -> Operation | None:
        """The last op so far, to return to with `discard_after`."""
        return self._block.last_op

    def discard_after(self, last: Operation | None) -> None:
        """Erase the ops behind `last`: those of an attempt that was given up."""
        while self._block.last_op is not None and self._block.last_op is not last:
            self._block.erase_op(self._block.last_op)
        self._tensors = {k: v for k, v in self._tensors.items() if _is_attached(v)}


def _is_attached(value: SSAValue) -> bool:
    owner = value.owner
    return not isinstance(owner, Operation) or owner.parent is not None
