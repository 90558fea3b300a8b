"""How ops declare their properties: one spelling for each kind of value.

The constraints make a property of another kind a verification error before `infer` reads it.
"""

from __future__ import annotations

from xdsl.dialects.builtin import (
    BoolAttr,
    DenseArrayBase,
    Float64Type,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    f64,
    i1,
    i64,
)
from xdsl.irdl import prop_def


def integer_property() -> IntegerAttr[IntegerType]:
    """An integer, `axis = 1 : i64`; read it with `integer`."""
    return prop_def(IntegerAttr.constr(i64))


def integers_property() -> DenseArrayBase[IntegerType]:
    """A list of integers, `axes = array<i64: 0, 2>`; read it with `ints`."""
    return prop_def(DenseArrayBase.constr(i64))


def number_property() -> FloatAttr[Float64Type]:
    """A number, `eps = 1.0e-05 : f64`; read it with `number`."""
    return prop_def(FloatAttr.constr(f64))


def flag_property() -> BoolAttr:
    """A truth value, `causal = true`; read it with `flag`."""
    return prop_def(IntegerAttr.constr(i1))


def text_property() -> StringAttr:
    """One of a few words, `layout = "nchw"`; read it with `text` and check it with `one_of`."""
    return prop_def(StringAttr)
