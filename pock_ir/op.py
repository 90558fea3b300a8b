"""The base of every pock op: type inference, verification, reference semantics and cost.

An op class states its operands, properties and results, and three methods:

- `infer` computes the result types; the verifier compares them with the types in the text;
- `evaluate` computes the results with numpy (the reference semantics);
- `flops` counts floating-point operations, for reports and the cost model.

The text form is the same for all: `%y = nn.relu %x {...} : (tensor<4xf32>) -> tensor<4xf32>`.
All properties are written out; there are no defaults, no broadcasting and no dtype promotion.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute, Operation, OpResult, Region, SSAValue
from xdsl.ir.core import SSAValues
from xdsl.irdl import IRDLOperation, ParsePropInAttrDict, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from pock_ir.types import Array, Tensor, num_elements

AttributeLike = Attribute | bool | int | float | str | Sequence[int]


def attribute(value: AttributeLike) -> Attribute:
    """A Python value as the attribute that pock ops use for it.

    bool -> i1, int -> i64, float -> f64, str -> string, sequence of int -> array<i64: ...>.
    """
    if isinstance(value, Attribute):
        return value
    if isinstance(value, bool):
        return BoolAttr.from_bool(value)
    if isinstance(value, int):
        return IntegerAttr(value, i64)
    if isinstance(value, float):
        return FloatAttr(value, f64)
    if isinstance(value, str):
        return StringAttr(value)
    return DenseArrayBase.from_list(i64, list(value))


def ints(attr: Attribute | None) -> tuple[int, ...]:
    """The values of an `array<i64: ...>` property."""
    values = cast(Sequence[int], cast(DenseArrayBase[Any], attr).get_values())
    return tuple(int(value) for value in values)


def integer(attr: Attribute | None) -> int:
    """The value of an integer property; a bool gives 0 or 1."""
    return cast("IntegerAttr[Any]", attr).value.data


def number(attr: Attribute | None) -> float:
    """The value of a float property."""
    return float(cast("FloatAttr[Any]", attr).value.data)


def flag(attr: Attribute | None) -> bool:
    """The value of an i1 property. Signless i1 true may be held as -1 or 1."""
    return integer(attr) != 0


def text(attr: Attribute | None) -> str:
    """The value of a string property."""
    return cast(StringAttr, attr).data


def strings(attr: Attribute | None) -> tuple[str, ...]:
    """The values of an array of string attributes."""
    return tuple(text(item) for item in cast("ArrayAttr[StringAttr]", attr).data)


class PockOp(IRDLOperation, ABC):
    """Base class; see the module's text. A subclass is `@irdl_op_definition` with a `name`."""

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "operands attr-dict `:` functional-type(operands, results)"

    @classmethod
    def make(
        cls,
        *operands: SSAValue | Operation,
        location: LocationAttr | None = None,
        regions: Sequence[Region] = (),
        **properties: AttributeLike | None,
    ) -> Self:
        """Build the op; its result types come from `infer`.

        A property that is None is left out. Raises VerifyException if the operands do not fit.
        """
        op = cls.make_with(operands, properties, regions)
        if location is not None:
            op.location = location
        return op

    @classmethod
    def make_with(
        cls,
        operands: Sequence[SSAValue | Operation],
        properties: Mapping[str, AttributeLike | None],
        regions: Sequence[Region] = (),
    ) -> Self:
        """As `make`, with operands and properties as values."""
        op = cls.create(
            operands=[SSAValue.get(operand) for operand in operands],
            properties={k: attribute(v) for k, v in properties.items() if v is not None},
            regions=list(regions),
        )
        try:
            types = op.infer()
        except VerifyException as error:
            op.drop_all_references()
            raise VerifyException(f"{cls.name}: {error}") from error
        op.results = SSAValues(OpResult(t, op, i) for i, t in enumerate(types))
        return op

    @abstractmethod
    def infer(self) -> Sequence[Attribute]:
        """The result types, from operand types and properties.

        Raises VerifyException with a message that names what does not fit.
        """

    @abstractmethod
    def evaluate(self, *args: Array) -> Array | Sequence[Array]:
        """The results as arrays, from the operands as arrays (reference semantics)."""

    def flops(self) -> int:
        """Floating-point operations of one execution; one per result element unless overridden."""
        return sum(num_elements(cast(Tensor, result.type)) for result in self.results)

    def verify_(self) -> None:
        expected = tuple(self.infer())
        actual = tuple(result.type for result in self.results)
        if expected != actual:
            wanted = ", ".join(map(str, expected))
            found = ", ".join(map(str, actual))
            raise VerifyException(f"result types should be ({wanted}), not ({found})")


def require(condition: bool, message: str) -> None:
    """Raise VerifyException(message) unless `condition` holds."""
    if not condition:
        raise VerifyException(message)
