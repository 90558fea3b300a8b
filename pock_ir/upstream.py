"""Ops of upstream MLIR that xDSL does not define, under upstream's names."""

from __future__ import annotations

from xdsl.dialects.math import FloatingPointLikeUnaryMathOperation, Math
from xdsl.ir import Dialect
from xdsl.irdl import irdl_op_definition, traits_def
from xdsl.traits import Pure, SameOperandsAndResultType


@irdl_op_definition
class ErfcOp(FloatingPointLikeUnaryMathOperation):
    """The complementary error function, 1 - erf, of a float or of each lane of a vector."""

    name = "math.erfc"
    traits = traits_def(Pure(), SameOperandsAndResultType())


MATH = Dialect(Math.name, [*Math.operations, ErfcOp], list(Math.attributes))
"""xDSL's dialect `math` and what it lacks."""
