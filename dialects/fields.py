"""How ops declare their properties: one spelling for each kind of value.

The constraints make a property of another kind a verification error before `infer` reads it.
"""

from __future__ import annotations

from xdsl.dialects.builtin import (
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    f64,
    i1,
    i64,
)
from xdsl.ir import Attribute
from xdsl.irdl import AttrConstraint, BaseAttr, MessageConstraint, prop_def


def _property(constraint: AttrConstraint, description: str) -> Attribute:
    return prop_def(MessageConstraint(constraint, f"the property should be {description}."))


def integer_property() -> Attribute:
    """An integer, `axis = 1 : i64`; read it with `integer`."""
    return _property(IntegerAttr.constr(i64), "an integer, like 1 : i64")


def integers_property() -> Attribute:
    """A list of integers, `axes = array<i64: 0, 2>`; read it with `ints`."""
    return _property(DenseArrayBase.constr(i64), "a list of integers, like array<i64: 0, 2>")


def number_property() -> Attribute:
    """A number, `eps = 1.0e-05 : f64`; read it with `number`."""
    return _property(FloatAttr.constr(f64), "a number, like 0.5 : f64")


def flag_property() -> Attribute:
    """A truth value, `causal = true`; read it with `flag`."""
    return _property(IntegerAttr.constr(i1), "true or false")


def text_property() -> Attribute:
    """One of a few words, `layout = "nchw"`; read it with `text` and check it with `one_of`."""
    return _property(BaseAttr(StringAttr), "text in quotes")
