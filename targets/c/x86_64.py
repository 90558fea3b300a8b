"""x86-64 processors by feature level (System V psABI): v3 has AVX2 and FMA, v4 has AVX-512.

The rates are those of one Zen 5 core: 280 GFLOP/s of single-precision FMA in 512-bit registers
and half of that in 256-bit ones, about 20 GB/s from memory.
"""

from __future__ import annotations

from pock_ir.target import Caches, Rates, Target, VectorUnit
from pock_ir.targets.c.flags import STRICT_MATH
from pock_ir.targets.c.kernels import all_kernels

_CACHES = Caches(l1=48 << 10, l2=1 << 20, l3=32 << 20)

X86_64_V3 = Target(
    name="x86-64-v3",
    description="x86-64 with AVX2 and FMA",
    vector=VectorUnit(bytes=32, registers=16),
    caches=_CACHES,
    rates=Rates(flops=126e9, bandwidth=20e9, call=20e-9),
    kernels=all_kernels(),
    compile_flags=("-march=x86-64-v3", *STRICT_MATH),
)

# Without the preferred width, compilers split what they vectorise themselves into 256 bits.
X86_64_V4 = Target(
    name="x86-64-v4",
    description="x86-64 with AVX-512",
    vector=VectorUnit(bytes=64, registers=32),
    caches=_CACHES,
    rates=Rates(flops=250e9, bandwidth=20e9, call=20e-9),
    kernels=all_kernels(),
    compile_flags=("-march=x86-64-v4", "-mprefer-vector-width=512", *STRICT_MATH),
)

TARGETS = (X86_64_V3, X86_64_V4)
