"""The values of one function while it is imported, and what calls ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xdsl.ir import SSAValue

from pock.frontends.common import values as common
from pock.frontends.common.refusal import Refusal
from pock.frontends.common.signature import Arguments
from pock.frontends.common.steps import (
    splat,
)
from pock.frontends.common.table import Random
from pock.frontends.jax.known import WRITTEN, Known
from pock.frontends.jax.table import (
    Call,
    Handler,
    handlers,
    tensor_type_of,
)

HELP_RANDOM = "dropout is supported: jax.random.bernoulli with a fixed probability, or a layer"


class Key:
    """A random key of the training step; which one makes no difference to the counter."""


KEY = Key()


class Values(common.Values):
    """The operands of calls; see `table.Operands` and `common.values.Values`."""

    def __init__(self, arguments: Arguments, is_training: bool) -> None:
        super().__init__(arguments, is_training, HELP_RANDOM)

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
        call = Call(name, params, operands, avals, outputs, self.emit, self, self.memory, names)
        result = handler(call)
        values = [result] if isinstance(result, SSAValue) else list(result)
        for index, value in enumerate(values):
            if value.type != call.type(index):
                raise Refusal(f"was imported as {value.type}, but is {call.type(index)}")
        return values

    def unusable(self, value: Any) -> Refusal:
        return Refusal("a random key is used as data", HELP_RANDOM)

    def written(self, value: common.Known) -> SSAValue:
        assert isinstance(value, Known)
        written = None if value.is_small else self._as_ops(value)
        if written is not None:
            return written
        array, type = value.array, tensor_type_of(value.aval)
        if (array == array.flat[0]).all():
            return splat(self.emit, array.flat[0].item(), type)
        return self.stored(array)

    def _as_ops(self, value: Known) -> SSAValue | None:
        """The ops that compute a known value; None if they are none of those in WRITTEN."""
        equation = value.origin
        if equation is None or equation.primitive.name not in WRITTEN:
            return None
        name = equation.primitive.name
        handler, operands = handlers()[name], value.operands
        made = self.attempt(
            lambda: self.handled(name, handler, equation.params, equation, operands, ())
        )
        return None if made is None else made[0]

    def is_key(self, value: Any) -> bool:
        """Whether `value` is a key of the training step."""
        return value is KEY

    def random(self) -> Random:
        """seed, step and a stream of its own. Raises Refusal outside of training."""
        return Random(*self.key(), self.next_stream())
