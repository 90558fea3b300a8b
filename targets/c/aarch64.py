"""64-bit Arm with NEON; the rates are those of a Cortex-A76 at 2.4 GHz, a Raspberry Pi 5."""

from __future__ import annotations

from pock_ir.target import Caches, Rates, Target, VectorUnit
from pock_ir.targets.c.flags import STRICT_MATH
from pock_ir.targets.c.kernels import all_kernels

AARCH64 = Target(
    name="aarch64",
    description="64-bit Arm with NEON",
    vector=VectorUnit(bytes=16, registers=32),
    caches=Caches(l1=64 << 10, l2=512 << 10, l3=2 << 20),
    rates=Rates(flops=30e9, bandwidth=6e9, call=40e-9),
    kernels=all_kernels(),
    compile_flags=("-march=armv8-a", *STRICT_MATH),
)

TARGETS = (AARCH64,)
