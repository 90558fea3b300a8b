"""The C text of exp, log, tanh, erf and of the random numbers, for float and for vectors.

One source gives both versions: the words in capitals are replaced (`FLOAT` is `float` or
`pock_vf`, `POCK_exp` is `pock_exp` or `pock_vexp`). The functions have no branches, so that every
lane takes the same time, and they use no fused multiply-add of their own: the error bounds hold
whether the compiler contracts or not. They must not be compiled with -ffast-math, which would
delete the rounding by a large constant.

Method: range reduction and minimax polynomials (Lawson iteration on the relative error), as in
Muller, Elementary Functions, chapters 3 and 11. Special values are those of C's Annex F, except
that no floating-point exception flag is promised.
"""

from __future__ import annotations

from collections.abc import Mapping

from pock_ir.targets.c import functions

ERROR_ULP: Mapping[str, float] = {
    "exp": 1.1,
    "log": 0.9,
    "tanh": 1.6,
    "erf": 1.8,
    "expm1": 1.9,
    "log1p": 1.6,
    "erfc": 7.0,
    "sin": 1.8,
    "cos": 1.8,
    "floor": 0.0,
    "round": 0.0,
    "pow": 0.6,
}
"""Largest error of each function in units of the last place, over all finite f32 arguments.

A test sweeps the whole range and keeps these bounds.
"""

_HELPERS = """\
/* the greater, the smaller: NaN if a or b is NaN */
static inline FLOAT POCK_max(FLOAT a, FLOAT b)
{
    const FLOAT greater = POCK_select(a > b, a, b); /* b, if b is NaN */
    return POCK_select(a != a, a, greater);
}

static inline FLOAT POCK_min(FLOAT a, FLOAT b)
{
    const FLOAT smaller = POCK_select(a < b, a, b);
    return POCK_select(a != a, a, smaller);
}

static inline FLOAT POCK_abs(FLOAT x)
{
    return POCK_float(POCK_bits(x) & 0x7fffffffu);
}
"""

_EXP = """\
/* exp: x = n ln 2 + r with |r| <= ln 2 / 2; the result is 2^n exp(r). Two factors make up 2^n, so
   that results overflow to inf and underflow through the subnormals with one rounding. */
static inline FLOAT POCK_exp(FLOAT x)
{
    FLOAT c = POCK_select(x > 89.0f, SPLAT(89.0f), x);
    c = POCK_select(c < -104.0f, SPLAT(-104.0f), c);
    const FLOAT t = c * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to nearest */
    const FLOAT n = t - 12582912.0f;
    const FLOAT r = (c - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
    FLOAT q = r * 1.395080937e-03f + 8.369073272e-03f;
    q = q * r + 4.166620225e-02f;
    q = q * r + 1.666651666e-01f;
    q = q * r + 0.5f;
    const FLOAT y = (q * (r * r) + r) + 1.0f;
    const WORD k = POCK_bits(t) - 0x4b400000u; /* n, in two's complement */
    const WORD half = (k + 512u) >> 1;
    return y * POCK_float((half - 129u) << 23) * POCK_float((k - half + 383u) << 23);
}
"""

_LOG = """\
/* log: x = 2^e (1 + f) with 2/3 <= 1 + f < 4/3; the result is e ln 2 + log(1 + f). */
static inline FLOAT POCK_log(FLOAT x)
{
    const MASK tiny = x < 1.17549435e-38f;
    const WORD u = POCK_bits(POCK_select(tiny, x * 8388608.0f, x));
    const WORD shifted = u - 0x3f2aaaabu + 0x40000000u;
    const WORD m = u - (shifted & 0xff800000u) + 0x40000000u;
    const FLOAT back = POCK_select(tiny, SPLAT(23.0f), SPLAT(0.0f));
    const FLOAT e = POCK_integer((shifted >> 23) - 128u) - back;
    const FLOAT f = POCK_float(m) - 1.0f;
    FLOAT p = f * 1.202116162e-01f - 1.285854578e-01f;
    p = p * f + 1.075099707e-01f;
    p = p * f - 1.219304204e-01f;
    p = p * f + 1.430470496e-01f;
    p = p * f - 1.667974889e-01f;
    p = p * f + 1.999959052e-01f;
    p = p * f - 2.499981672e-01f;
    p = p * f + 3.333333433e-01f;
    const FLOAT t = (f * f * f) * p + (e * 1.42860682030941723e-6f - 0.5f * f * f);
    FLOAT y = e * 0.693145751953125f + (f + t);
    y = POCK_select(x == 0.0f, SPLAT(-INFINITY), y);
    y = POCK_select(x < 0.0f, SPLAT(NAN), y);
    return POCK_select((x == INFINITY) | (x != x), x, y);
}
"""

_TANH = """\
/* tanh: 1 - 2 / (exp(2a) + 1) where the result is at least 1/2, else an odd polynomial. */
static inline FLOAT POCK_tanh(FLOAT x)
{
    const FLOAT a = POCK_abs(x);
    const FLOAT large = 1.0f - 2.0f / (POCK_exp(a + a) + 1.0f);
    const FLOAT z = a * a;
    FLOAT p = z * -6.281723734e-03f + 2.107726224e-02f;
    p = p * z - 5.385374650e-02f;
    p = p * z + 1.333260089e-01f;
    p = p * z - 3.333331943e-01f;
    const FLOAT y = POCK_select(a > 0.55f, large, (p * z) * a + a);
    return POCK_float(POCK_bits(y) | (POCK_bits(x) & 0x80000000u));
}
"""

_ERF = """\
/* erf: 1 - t q(t) exp(-a^2) with t = 1 / (1 + 0.4 a) above 0.9, else an odd polynomial. */
static inline FLOAT POCK_erf(FLOAT x)
{
    const FLOAT a = POCK_abs(x);
    const FLOAT t = 1.0f / (a * 0.4f + 1.0f);
    FLOAT q = t * -1.919770241e-01f + 6.871849298e-01f;
    q = q * t - 3.504902124e-01f;
    q = q * t + 4.615264237e-01f;
    q = q * t + 1.614502966e-01f;
    q = q * t + 2.323676199e-01f;
    const FLOAT z = a * a;
    const FLOAT large = 1.0f - (t * q) * POCK_exp(-z);
    FLOAT p = z * 8.538198745e-05f - 8.181785233e-04f;
    p = p * z + 5.204424262e-03f;
    p = p * z - 2.686074749e-02f;
    p = p * z + 1.128371954e-01f;
    p = p * z - 3.761263490e-01f;
    p = p * z + 1.283791661e-01f;
    const FLOAT y = POCK_select(a > 0.9f, large, p * a + a);
    return POCK_float(POCK_bits(y) | (POCK_bits(x) & 0x80000000u));
}
"""

_UNIFORM = """\
/* Threefry-2x32 with 20 rounds (Salmon et al., SC 2011): a number in [0, 1) with 24 bits for each
   (seed, step, index, stream), the same on every target and in every order. */
static inline FLOAT POCK_uniform(uint32_t seed, uint32_t step, WORD index, uint32_t stream)
{
    const uint32_t third = 0x1bd11bdau ^ seed ^ step;
    WORD a = index + seed;
    WORD b = (index ^ index) + (stream + step);
ROUNDS
    return POCK_integer(a >> 8) * 5.9604644775390625e-8f;
}
"""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def _threefry_rounds() -> str:
    """Twenty rounds; the key (seed, step, third) is added after every fourth."""
    key = ("seed", "step", "third")
    lines: list[str] = []
    for group in range(5):
        for left in _ROTATIONS[group % 2]:
            lines.append(f"    a += b; b = ((b << {left}) | (b >> {32 - left})) ^ a;")
        first, second = key[(group + 1) % 3], key[(group + 2) % 3]
        lines.append(f"    a += {first}; b += {second} + {group + 1}u;")
    return "\n".join(lines)


_COMMON = (_HELPERS, _EXP, _LOG, _TANH, _ERF, _UNIFORM.replace("ROUNDS", _threefry_rounds()))

_SCALAR_WORDS = {
    "POCK_": "pock_",
    "FLOAT": "float",
    "WORD": "uint32_t",
    "MASK": "int",
    "SPLAT": "",
}
_VECTOR_WORDS = {
    "POCK_": "pock_v",
    "FLOAT": "pock_vf",
    "WORD": "pock_vu",
    "MASK": "pock_vi",
    "SPLAT": "pock_splat",
}


def _instance(source: str, words: dict[str, str]) -> str:
    for word, text in words.items():
        source = source.replace(word, text)
    return source


def scalar_math() -> str:
    """pock_exp, pock_log, pock_tanh, pock_erf, pock_max, pock_min, pock_abs, pock_uniform, and
    pock_floor, pock_round, pock_expm1, pock_log1p, pock_erfc, pock_sin, pock_cos, pock_pow.

    Needs pock_select, pock_bits, pock_float and pock_integer of the prelude.
    """
    return _instance("\n".join((*_COMMON, *functions.SCALAR)), _SCALAR_WORDS)


def vector_math() -> str:
    """The same functions as `scalar_math` over pock_vf, called pock_vexp and so on."""
    return _instance("\n".join((*_COMMON, *functions.VECTOR)), _VECTOR_WORDS)
