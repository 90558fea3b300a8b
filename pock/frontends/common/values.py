"""The values of one function while it is imported, and what calls ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from xdsl.dialects.builtin import UNKNOWN_LOC
from xdsl.ir import Block, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock.frontends.common.known import Known
from pock.frontends.common.refusal import Refusal
from pock.frontends.common.signature import Arguments
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import StopGradientOp
from pock_ir.types import Array, dtype_of, tensor_type


class Missing:
    """Takes the place of a value that could not be imported and has no type."""


MISSING = Missing()


class Values(ABC):
    """The operands of calls; see `common.table.Operands`.

    arguments: of the function, which is @train if `is_training`. help_random: what to do about
    random numbers that are refused. has_gradient: whether the loss depends on what is imported
    now. memory: shared by all calls.
    """

    def __init__(self, arguments: Arguments, is_training: bool, help_random: str) -> None:
        self.emit = Emitter.at_end(arguments.block, UNKNOWN_LOC)
        self.has_gradient = False
        self.memory: dict[Any, Any] = {}
        self._arguments = arguments
        self._block = arguments.block
        trained = arguments.trainable() if is_training else ()
        self._active: dict[SSAValue, bool] = dict.fromkeys(trained, True)
        self._is_training = is_training
        self._help_random = help_random
        self._streams = 0
        self._tensors: dict[Known, SSAValue] = {}

    @abstractmethod
    def unusable(self, value: Any) -> Refusal:
        """Why `value`, which is neither a tensor nor known, cannot be used as a tensor."""

    @abstractmethod
    def written(self, value: Known) -> SSAValue:
        """A known value as a splat, as ops, or as stored data. Raises Refusal if it is none."""

    def tensor(self, value: Any) -> SSAValue:
        """`value` as a tensor of the program. Raises Refusal if it is none."""
        if isinstance(value, SSAValue):
            return value
        if not isinstance(value, Known):
            raise self.unusable(value)
        if value not in self._tensors:
            self._tensors[value] = self.written(value)
        return self._tensors[value]

    def stored(self, array: Array) -> SSAValue:
        """The argument for data that the program carries."""
        return self._arguments.constant(np.ascontiguousarray(array).reshape(array.shape))

    def known(self, value: Any) -> Array | None:
        """The numbers of a known value, or None."""
        return value.array if isinstance(value, Known) else None

    def key(self) -> tuple[SSAValue, SSAValue]:
        """@train's seed and step. Raises Refusal outside of training."""
        if not self._is_training:
            raise Refusal("random numbers are drawn outside of training", self._help_random)
        return self._arguments.key()

    def next_stream(self) -> int:
        """The number of a random stream that nothing has drawn from yet."""
        self._streams += 1
        return self._streams - 1

    def is_active(self, value: Any) -> bool:
        """Whether a gradient of `value` would reach a trained parameter."""
        if not isinstance(value, SSAValue) or not self.has_gradient:
            return False
        stack = [value]
        while stack:
            top = stack[-1]
            sources = _gradient_sources(top)
            pending = [source for source in sources if source not in self._active]
            if top in self._active or not pending:
                stack.pop()
                has_gradient = dtype_of(tensor_type(top)).is_float
                reaches = any(self._active[source] for source in sources)
                self._active.setdefault(top, has_gradient and reaches)
            else:
                stack.extend(pending)
        return self._active[value]

    def attempt(self, make: Callable[[], Any], *declines: type[Exception]) -> Any | None:
        """What `make` returns; None, and none of its ops, if it is refused or raises `declines`."""
        last = self._block.last_op
        try:
            return make()
        except (Refusal, VerifyException, *declines):
            self._erase_after(last)
            return None

    def _erase_after(self, last: Operation | None) -> None:
        while self._block.last_op is not None and self._block.last_op is not last:
            self._block.erase_op(self._block.last_op)
        self._tensors = {k: v for k, v in self._tensors.items() if _is_attached(v)}


def _gradient_sources(value: SSAValue) -> tuple[SSAValue, ...]:
    """The operands that a gradient of `value` may pass on to."""
    owner = value.owner
    is_end = isinstance(owner, Block | StopGradientOp)
    return () if is_end else tuple(owner.operands)


def _is_attached(value: SSAValue) -> bool:
    owner = value.owner
    return not isinstance(owner, Operation) or owner.parent is not None
