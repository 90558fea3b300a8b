"""The functions of the C prelude: error bounds, special values, scalar against vector."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import STRICT

from pock_ir.target import target_named
from pock_ir.targets.c.math import ERROR_ULP
from pock_ir.targets.c.prelude import prelude

# A prime, so that all exponents and many mantissas are met: at best 31 million of 2^32 patterns.
STRIDE = 137

SWEEP = """
#include <stdio.h>
#include <stdlib.h>

/* the distance of y from the exact value, in units of the float at the exact value */
static double ulps(float y, double exact)
{
    const float rounded = (float)exact;
    if (isnan(exact))
        return isnan(y) ? 0.0 : HUGE_VAL;
    if (isinf(rounded) || isinf(y))
        return rounded == y ? 0.0 : 1.0; /* one step apart at the end of the range */
    int exponent;
    frexp(exact, &exponent);
    const double unit = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
    return fabs((double)y - exact) / unit;
}

typedef struct { double scalar, wide; uint32_t at, differ; } result;

#define SWEEP(function, reference) \\
    static result sweep_##function(uint32_t stride) \\
    { \\
        result r = {0.0, 0.0, 0u, 0u}; \\
        uint64_t word = 0; \\
        while (word <= 0xffffffffu) { \\
            float x[LANES], y[LANES]; \\
            for (int i = 0; i < LANES; i++, word += stride) \\
                x[i] = pock_float((uint32_t)word); \\
            WIDE(function); \\
            for (int i = 0; i < LANES; i++) { \\
                const float s = pock_##function(x[i]); \\
                const double exact = reference((double)x[i]); \\
                const double a = ulps(s, exact), b = ulps(y[i], exact); \\
                if (a > r.scalar) { r.scalar = a; r.at = pock_bits(x[i]); } \\
                if (b > r.wide) r.wide = b; \\
                r.differ += pock_bits(s) != pock_bits(y[i]) && s == s; \\
            } \\
        } \\
        return r; \\
    }
SWEEP(exp, exp)
SWEEP(log, log)
SWEEP(tanh, tanh)
SWEEP(erf, erf)
SWEEP(expm1, expm1)
SWEEP(log1p, log1p)
SWEEP(erfc, erfc)
SWEEP(sin, sin)
SWEEP(cos, cos)
SWEEP(floor, floor)
SWEEP(round, rint)

int main(int argc, char **argv)
{
    const uint32_t stride = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1u;
    const struct { const char *name; result (*run)(uint32_t); } all[] = {
        {"exp", sweep_exp}, {"log", sweep_log}, {"tanh", sweep_tanh}, {"erf", sweep_erf},
        {"expm1", sweep_expm1}, {"log1p", sweep_log1p}, {"erfc", sweep_erfc},
        {"sin", sweep_sin}, {"cos", sweep_cos}, {"floor", sweep_floor}, {"round", sweep_round}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const result r = all[i].run(stride);
        printf("%s %.3f %.3f %08x %u\\n", all[i].name, r.scalar, r.wide, r.at, r.differ);
    }
    return 0;
}
"""
VECTOR = "#define LANES {lanes}\n#define WIDE(f) pock_store(y, pock_v##f(pock_load(x)))\n"
SCALAR = "#define LANES 1\n#define WIDE(f) y[0] = pock_##f(x[0])\n"


def build(folder: Path, name: str, source: str, *flags: str) -> Path:
    target = target_named(name)
    lanes = target.vector.lanes(4)
    define = VECTOR.format(lanes=lanes) if lanes > 1 else SCALAR
    text = folder / "math.c"
    text.write_text(prelude(target) + define + source)
    command = ["gcc", *STRICT, "-O2", *target.compile_flags, *flags, str(text)]
    subprocess.run([*command, "-o", str(folder / "math"), "-lm"], check=True)
    return folder / "math"


@pytest.mark.parametrize("contract", ["-ffp-contract=fast", "-ffp-contract=off"])
@pytest.mark.parametrize("name", ["c", "x86-64-v3", "x86-64-v4"])
def test_errors_stay_in_their_bounds(tmp_path: Path, name: str, contract: str) -> None:
    program = build(tmp_path, name, SWEEP, contract)
    stride = STRIDE * (16 if contract.endswith("off") or name != "x86-64-v4" else 1)
    done = subprocess.run([program, str(stride)], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        function, scalar, wide, at, _ = line.split()
        worst = max(float(scalar), float(wide))
        assert worst <= ERROR_ULP[function], f"{function}: {worst} ulp, scalar worst at {at}"


POWERS = """
#include <stdio.h>

DISTANCE
int main(void)
{
    double worst = 0.0;
    uint32_t a = 1u, b = 2u;
    for (uint32_t i = 0; i < 2000000u; i++) {
        a = a * 1664525u + 1013904223u;
        b = b * 22695477u + 1u;
        const float size = pock_float(a >> 1), x = i % 4u ? size : -size;
        const float y = i % 2u ? (float)((int32_t)(b >> 24) - 128) : pock_integer(b) * 1e-8f;
        const double error = ulps(pock_pow(x, y), pow((double)x, (double)y));
        worst = error > worst ? error : worst;
    }
    printf("%.3f", worst);
    return 0;
}
"""


def test_error_of_pow(tmp_path: Path) -> None:
    distance = SWEEP[SWEEP.index("/* the distance") : SWEEP.index("typedef")]
    program = build(tmp_path, "c", POWERS.replace("DISTANCE", distance))
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= ERROR_ULP["pow"]


SPECIAL = """
#include <stdio.h>

int main(void)
{
    const uint32_t words[] = {WORDS};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        float x[LANES], y[LANES];
        for (int lane = 0; lane < LANES; lane++)
            x[lane] = pock_float(words[i]);
#define SHOW(function) \\
        WIDE(function); \\
        printf("%08x %08x ", pock_bits(pock_##function(x[0])), pock_bits(y[LANES - 1]));
        SHOW(exp) SHOW(log) SHOW(tanh) SHOW(erf)
        printf("\\n");
    }
    return 0;
}
"""
ZERO, MINUS_ZERO, ONE, MINUS_ONE = 0x00000000, 0x80000000, 0x3F800000, 0xBF800000
INF, MINUS_INF, NAN, HUGE, MINUS_HUGE = 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0xFF7FFFFF
TINY, MINUS_TINY = 0x00000001, 0x80000001
# x: (exp, log, tanh, erf); log of the least subnormal is -103.27893.
EXPECTED = {
    ZERO: (ONE, MINUS_INF, ZERO, ZERO),
    MINUS_ZERO: (ONE, MINUS_INF, MINUS_ZERO, MINUS_ZERO),
    INF: (INF, INF, ONE, ONE),
    MINUS_INF: (ZERO, NAN, MINUS_ONE, MINUS_ONE),
    NAN: (NAN, NAN, NAN, NAN),
    HUGE: (INF, 0x42B17218, ONE, ONE),
    MINUS_HUGE: (ZERO, NAN, MINUS_ONE, MINUS_ONE),
    TINY: (ONE, 0xC2CE8ED0, TINY, TINY),
    MINUS_TINY: (ONE, NAN, MINUS_TINY, MINUS_TINY),
    # exp: just below and above the largest finite result, and the least one that is not 0
    0x42B17217: (0x7F7FFF84, 0x408F895C, ONE, ONE),
    0x42B17219: (INF, 0x408F895C, ONE, ONE),
    0xC2CE8ED0: (TINY, NAN, MINUS_ONE, MINUS_ONE),
}


@pytest.mark.parametrize("name", ["c", "x86-64-v3", "x86-64-v4"])
def test_special_values(tmp_path: Path, name: str) -> None:
    words = ", ".join(f"{word}u" for word in EXPECTED)
    program = build(tmp_path, name, SPECIAL.replace("WORDS", words), "-fsanitize=undefined")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert not done.stderr
    for (x, wanted), line in zip(EXPECTED.items(), done.stdout.splitlines(), strict=True):
        found = [int(word, 16) for word in line.split()]
        pairs = zip(found, [word for word in wanted for _ in range(2)], strict=True)
        assert all(same(a, b) for a, b in pairs), f"at {x:08x}: {line}"


def same(found: int, wanted: int) -> bool:
    """Equal, or both NaN, or neighbours where the value is rounded."""
    if wanted == NAN:
        return found & 0x7FFFFFFF > INF
    exact = wanted in (ZERO, MINUS_ZERO, ONE, MINUS_ONE, INF, MINUS_INF)
    return found == wanted or (not exact and abs(found - wanted) <= 1)
