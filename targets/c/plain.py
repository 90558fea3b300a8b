"""Any machine with a C11 compiler: no vector unit, one thread, small caches assumed."""

from __future__ import annotations

from pock_ir.target import Caches, Rates, Target, VectorUnit
from pock_ir.targets.c.flags import STRICT_MATH
from pock_ir.targets.c.kernels import all_kernels

PLAIN = Target(
    name="c",
    description="portable C11",
    vector=VectorUnit(bytes=0, registers=16),
    caches=Caches(l1=32 << 10, l2=256 << 10, l3=0),
    rates=Rates(flops=4e9, bandwidth=8e9, call=20e-9),
    kernels=all_kernels(),
    compile_flags=STRICT_MATH,
)

TARGETS = (PLAIN,)
