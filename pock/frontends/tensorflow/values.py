"""The values of one function while it is imported, and what calls ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common import values as common
from pock.frontends.common.known import Known
from pock.frontends.common.refusal import Refusal
from pock.frontends.common.signature import Arguments
from pock.frontends.common.steps import splat
from pock.frontends.tensorflow.random import HELP_RANDOM, Uniform
from pock.frontends.tensorflow.structure import tensor_type_of
from pock.frontends.tensorflow.table import Call, Handler, handlers
from pock_ir.types import dtype_of, dtype_of_numpy, shape_of, tensor

SMALL = 1 << 10
"""Up to how many elements a known tensor is stored rather than computed by the program."""


class Unusable:
    """A result that a handler does not make, such as a gradient that TensorFlow computes ahead."""


UNUSABLE = Unusable()


class Values(common.Values):
    """The operands of calls; see `table.Operands`.

    variables: the present value of each, by name; assignments change it. The other parameters are
    those of `common.values.Values`.
    """

    def __init__(
        self, arguments: Arguments, is_training: bool, variables: Mapping[str, SSAValue]
    ) -> None:
        super().__init__(arguments, is_training, HELP_RANDOM)
        self.variables = dict(variables)

    def call(self, node: Any, operands: Sequence[Any]) -> Call:
        """What a handler sees of `node`."""
        return Call(node, operands, self.emit, self, self.memory)

    def handled(self, handler: Handler, node: Any, operands: Sequence[Any]) -> Sequence[Any]:
        """What `handler` makes of `node`, one value for each result. Raises Refusal."""
        result = handler(self.call(node, operands))
        values = list(result) if isinstance(result, list | tuple) else [result]
        values += [None] * (len(node.outputs) - len(values))
        for output, value in zip(node.outputs, values, strict=True):
            if isinstance(value, SSAValue):
                _check(value, output)
        return [UNUSABLE if value is None else value for value in values]

    def drawn(self, node: Any) -> Uniform:
        """The random numbers of `node`, from a stream of its own.

        Raises Refusal outside of training.
        """
        self.key()
        shape = tensor_type_of(node.outputs[0].shape, node.outputs[0].dtype).get_shape()
        return Uniform(tuple(shape), self.next_stream())

    def unusable(self, value: Any) -> Refusal:
        if isinstance(value, Uniform):
            return Refusal("random numbers are used as data, which is not supported", HELP_RANDOM)
        return Refusal(f"a {type(value).__name__} is used as a tensor")

    def written(self, value: Known) -> SSAValue:
        array = value.array
        try:
            type = tensor(array.shape, dtype_of_numpy(array.dtype).name)
        except KeyError:
            raise Refusal(f"element type {array.dtype} is not supported") from None
        if array.size == 0:
            raise Refusal(f"a tensor of shape {list(array.shape)} has no elements")
        if (array == array.flat[0]).all():
            return splat(self.emit, array.flat[0].item(), type)
        if array.size > SMALL and not dtype_of(type).is_float:
            found = self._recomputed(value)
            if found is not None:
                return found
        return self.stored(array)

    def _recomputed(self, value: Known) -> SSAValue | None:
        """A known value as the ops of its node; None if there are none for it."""
        node: Any = value.origin
        if node is None or node.type not in handlers() or len(node.outputs) != 1:
            return None
        handler = handlers()[node.type]
        made = self.attempt(lambda: self.handled(handler, node, value.operands)[0])
        return made if isinstance(made, SSAValue) else None


def describe(value: Any) -> str:
    """Shape and element type of one of the graph's tensors, such as "2x3xfloat32"."""
    sizes = "?" if value.shape.rank is None else "x".join(map(str, value.shape.as_list()))
    return "x".join(filter(None, (sizes, value.dtype.name)))


def _check(value: SSAValue, output: Any) -> None:
    """What was built agrees with what TensorFlow inferred; anything else is refused."""
    same = dtype_of(value).numpy == np.dtype(output.dtype.as_numpy_dtype)
    if not same or not output.shape.is_compatible_with(shape_of(value)):
        raise Refusal(f"was imported as {value.type}, but is {describe(output)}")
