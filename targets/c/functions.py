"""The C text of rounding, expm1, log1p, erfc, sin, cos and pow.

The words in capitals are those of `math`. sin and cos reduce their argument by multiples of pi / 2:
in double precision up to 131072, and with the bits of 2 / pi that matter beyond (Payne and Hanek,
Radian reduction for trigonometric functions, SIGNUM 1983). pow works in double precision and on one
element at a time.
"""

from __future__ import annotations

_ROUNDING = """\
/* to the nearest integer, halves to the even one: adding 2^23 leaves no bits for a fraction */
static inline FLOAT POCK_round(FLOAT x)
{
    const FLOAT a = POCK_abs(x);
    const FLOAT r = (a + 8388608.0f) - 8388608.0f;
    const FLOAT y = POCK_select(a < 8388608.0f, r, a);
    return POCK_float(POCK_bits(y) | (POCK_bits(x) & 0x80000000u));
}

static inline FLOAT POCK_floor(FLOAT x)
{
    const FLOAT r = POCK_round(x);
    return POCK_select(r > x, r - 1.0f, r);
}
"""

_EXPM1 = """\
/* exp(x) - 1: x = n ln 2 + r as for exp; 2^n (exp(r) - 1) + (2^n - 1), halved against overflow */
static inline FLOAT POCK_expm1(FLOAT x)
{
    FLOAT c = POCK_select(x > 89.0f, SPLAT(89.0f), x);
    c = POCK_select(c < -18.0f, SPLAT(-18.0f), c);
    const FLOAT t = c * 1.44269504f + 12582912.0f;
    const FLOAT n = t - 12582912.0f;
    const FLOAT r = (c - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
    FLOAT q = r * 1.991509052e-04f + 1.393682207e-03f;
    q = q * r + 8.333274163e-03f;
    q = q * r + 4.166645184e-02f;
    q = q * r + 1.666666716e-01f;
    q = q * r + 0.5f;
    const FLOAT near = q * (r * r) + r;
    const FLOAT half = POCK_float((POCK_bits(t) - 0x4b400000u + 126u) << 23); /* 2^(n-1) */
    const FLOAT sum = near * half + (half - 0.5f);
    const FLOAT y = POCK_select(n == 0.0f, near, sum + sum);
    return POCK_float(POCK_bits(y) | (POCK_bits(x) & 0x80000000u));
}
"""

_LOG1P = """\
/* log(1 + x): the logarithm of u = 1 + x, and what the rounding of u has lost, over u */
static inline FLOAT POCK_log1p(FLOAT x)
{
    const FLOAT u = x + 1.0f;
    const FLOAT lost = POCK_select(x > 1.0f, 1.0f - (u - x), x - (u - 1.0f));
    const FLOAT y = POCK_log(u);
    const FLOAT z = POCK_select((u > 0.0f) & (u < INFINITY), y + lost / u, y);
    return POCK_select(x == 0.0f, x, z);
}
"""

_ERFC = """\
/* 1 - erf: t q(t) exp(-a^2) with t = 1 / (1 + 0.4 a) beyond 1/2, where a^2 = h^2 + s is exact */
static inline FLOAT POCK_erfc(FLOAT x)
{
    const FLOAT b = POCK_abs(x);
    const FLOAT a = POCK_select(b > 10.1f, SPLAT(10.1f), b);
    const FLOAT t = 1.0f / (a * 0.4f + 1.0f);
    FLOAT q = t * 6.021843478e-02f - 2.206513882e-01f;
    q = q * t + 2.284977436e-01f;
    q = q * t - 5.586991832e-02f;
    q = q * t + 1.661736667e-01f;
    q = q * t + 1.613748670e-01f;
    q = q * t + 2.090180069e-01f;
    q = q * t + 2.255716324e-01f;
    q = q * t + 2.256789654e-01f;
    const FLOAT h = POCK_float(POCK_bits(a) & 0xfffff000u); /* 12 bits: the square is exact */
    const FLOAT s = (a - h) * (a + h);
    FLOAT w = s * -8.333333333e-03f + 4.166666667e-02f;
    w = w * s - 1.666666667e-01f;
    w = w * s + 0.5f;
    w = (w * s - 1.0f) * s + 1.0f;
    const FLOAT far = POCK_exp(-(h * h)) * (t * q * w);
    const FLOAT z = x * x;
    FLOAT p = z * 8.538198745e-05f - 8.181785233e-04f;
    p = p * z + 5.204424262e-03f;
    p = p * z - 2.686074749e-02f;
    p = p * z + 1.128371954e-01f;
    p = p * z - 3.761263490e-01f;
    p = p * z + 1.283791661e-01f;
    const FLOAT near = 1.0f - (p * x + x);
    return POCK_select(b < 0.5f, near, POCK_select(x < 0.0f, 2.0f - far, far));
}
"""

_REDUCE_FAR = """\
/* x = n pi / 2 + r for a large x. With 24 bits of x, only 96 bits of 2 / pi reach the fraction of
   x / (2 pi): `window`. quadrant is n modulo 4, the result is r. */
static inline float pock_reduce_far(float x, uint32_t *quadrant)
{
    static const uint32_t two_over_pi[] = {0x00000000u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
        0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
    const uint32_t word = pock_bits(x);
    *quadrant = 0u;
    if ((word & 0x7f800000u) == 0x7f800000u)
        return NAN;
    const uint32_t first = ((word >> 23) & 0xffu) - 120u; /* bits that give whole turns only */
    const uint64_t m = (word & 0x7fffffu) | 0x800000u;
    uint64_t window[3];
    for (uint32_t i = 0; i < 3u; i++) {
        const uint32_t *const at = two_over_pi + first / 32u + i;
        window[i] = (((uint64_t)at[0] << 32 | at[1]) << first % 32u) >> 32;
    }
    const uint64_t turns = (m * window[0] << 32) + m * window[1] + (m * window[2] >> 32);
    const uint64_t n = (turns + (UINT64_C(1) << 61)) >> 62;
    const double rest = (double)(int64_t)(turns - (n << 62));
    const float r = (float)(rest * 3.4061215800865545e-19); /* pi / 2^63 */
    *quadrant = word >> 31 ? 0u - (uint32_t)n : (uint32_t)n;
    return word >> 31 ? -r : r;
}
"""

_REDUCE = """\
static inline float pock_reduce(float x, uint32_t *quadrant)
{
    if (!(pock_abs(x) <= 131072.0f))
        return pock_reduce_far(x, quadrant);
    const float t = x * 0.636619772f + 12582912.0f;
    const double n = (double)(t - 12582912.0f);
    *quadrant = pock_bits(t) - 0x4b400000u;
    return (float)(((double)x - n * 1.5707963267341256) - n * 6.077100506506192e-11);
}
"""

_VECTOR_REDUCE = """\
static inline pock_vf pock_vreduce(pock_vf x, pock_vu *quadrant)
{
    const pock_vi near = pock_vabs(x) <= 131072.0f;
    const pock_vf t = x * 0.636619772f + 12582912.0f;
    const pock_vw n = pock_widen(t - 12582912.0f);
    const pock_vw high = pock_wsub(pock_widen(x), pock_wmul(n, pock_splatw(1.5707963267341256)));
    pock_vf r = pock_narrow(pock_wsub(high, pock_wmul(n, pock_splatw(6.077100506506192e-11))));
    *quadrant = pock_vbits(t) - 0x4b400000u;
    int32_t all = -1;
    for (size_t lane = 0; lane < sizeof x / sizeof x[0]; lane++)
        all &= near[lane];
    for (size_t lane = 0; !all && lane < sizeof x / sizeof x[0]; lane++)
        if (!near[lane]) {
            uint32_t turned;
            r[lane] = pock_reduce_far(x[lane], &turned);
            (*quadrant)[lane] = turned;
        }
    return r;
}
"""

_WAVES = """\
/* sin(r) and cos(r) for |r| <= pi / 4, and the one of them that the quadrant asks for */
static inline FLOAT POCK_wave(FLOAT r, WORD quadrant)
{
    const FLOAT z = r * r;
    FLOAT s = z * -1.950524020e-04f + 8.332090452e-03f;
    s = s * z - 1.666665375e-01f;
    FLOAT c = z * 2.442492405e-05f - 1.388725126e-03f;
    c = c * z + 4.166664556e-02f;
    const FLOAT sine = (s * z) * r + r;
    const FLOAT cosine = (c * z) * z + (1.0f - 0.5f * z);
    const FLOAT y = POCK_select((quadrant & 1u) == 0u, sine, cosine);
    return POCK_float(POCK_bits(y) ^ ((quadrant & 2u) << 30));
}

static inline FLOAT POCK_sin(FLOAT x)
{
    WORD quadrant;
    const FLOAT r = POCK_reduce(POCK_abs(x), &quadrant);
    return POCK_float(POCK_bits(POCK_wave(r, quadrant)) ^ (POCK_bits(x) & 0x80000000u));
}

static inline FLOAT POCK_cos(FLOAT x)
{
    WORD quadrant;
    const FLOAT r = POCK_reduce(POCK_abs(x), &quadrant);
    return POCK_wave(r, quadrant + 1u);
}
"""

_POW = """\
/* x^y = 2^(y log2 x) in double precision, with log2 m = 2 atanh((m - 1) / (m + 1)) / ln 2 */
static inline float pock_pow(float x, float y)
{
    if (y == 0.0f || x == 1.0f)
        return 1.0f;
    if (x != x || y != y)
        return x + y;
    const float a = pock_abs(x), b = pock_abs(y);
    const int whole = b == pock_round(b);
    const int odd = whole && b < 16777216.0f && ((int32_t)b & 1);
    if (x < 0.0f && !whole && x != -INFINITY)
        return NAN;
    const int tiny = a < 1.17549435e-38f;
    const uint32_t word = pock_bits(tiny ? a * 8388608.0f : a);
    const uint32_t up = (word & 0x7fffffu) > 0x2aaaabu; /* m from 2/3 to 4/3 */
    const double e = (double)((int32_t)(word >> 23) - 127 - (tiny ? 23 : 0) + (int32_t)up);
    const double m = (double)pock_float((word & 0x7fffffu) | (up ? 0x3f000000u : 0x3f800000u));
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double q = z * (1.0 / 17.0) + 1.0 / 15.0;
    q = q * z + 1.0 / 13.0;
    q = q * z + 1.0 / 11.0;
    q = q * z + 1.0 / 9.0;
    q = q * z + 1.0 / 7.0;
    q = q * z + 1.0 / 5.0;
    q = q * z + 1.0 / 3.0;
    double p = e + (q * z * s + s) * 2.8853900817779268; /* 2 / ln 2 */
    p = a == 0.0f ? -INFINITY : a == INFINITY ? INFINITY : p;
    p = a == 1.0f ? 0.0 : p * (double)y;
    p = p > 200.0 ? 200.0 : p < -200.0 ? -200.0 : p;
    const double n = (p + 6755399441055744.0) - 6755399441055744.0; /* 1.5 * 2^52 */
    const double r = (p - n) * 0.69314718055994531;
    double t = r * (1.0 / 40320.0) + 1.0 / 5040.0;
    t = t * r + 1.0 / 720.0;
    t = t * r + 1.0 / 120.0;
    t = t * r + 1.0 / 24.0;
    t = t * r + 1.0 / 6.0;
    t = t * r + 0.5;
    t = (t * r + 1.0) * r + 1.0;
    const uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    const float result = (float)(t * power);
    return odd && pock_bits(x) >> 31 ? -result : result;
}
"""

_VECTOR_POW = """\
static inline pock_vf pock_vpow(pock_vf x, pock_vf y)
{
    for (size_t lane = 0; lane < sizeof x / sizeof x[0]; lane++)
        x[lane] = pock_pow(x[lane], y[lane]);
    return x;
}
"""

_SHARED = (_ROUNDING, _EXPM1, _LOG1P, _ERFC)
SCALAR = (*_SHARED, _REDUCE_FAR, _REDUCE, _WAVES, _POW)
"""The functions of one float. They need those of `math`."""

VECTOR = (*_SHARED, _VECTOR_REDUCE, _WAVES, _VECTOR_POW)
"""The functions of a register. They need those of `math` and `wide`, and `SCALAR`."""
