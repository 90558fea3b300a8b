"""Adam's bias corrections: two scalars, computed in double precision."""

from __future__ import annotations

from typing import ClassVar, cast

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.optimizer import AdamCorrectionOp
from pock_ir.op import PockOp, number
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import PlainKernel


class AdamCorrectionKernel(PlainKernel):
    """The powers by repeated squaring, so that no library function is needed."""

    name = "adam_correction"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (AdamCorrectionOp,)

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        correction = cast(AdamCorrectionOp, op)
        first, second = number(correction.beta1), number(correction.beta2)
        return f"""    double square1 = {first!r}, square2 = {second!r};
    double power1 = 1.0, power2 = 1.0;
    for (uint32_t left = (uint32_t)*a0 + 1u; left > 0; left >>= 1) {{
        if (left & 1u) {{
            power1 *= square1;
            power2 *= square2;
        }}
        square1 *= square1;
        square2 *= square2;
    }}
    *r0 = (float)(1.0 - power1);
    *r1 = (float)sqrt(1.0 - power2);"""
