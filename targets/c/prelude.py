"""The text that stands once at the top of every generated C file: types, loads, mathematics.

Everything is an inlined function, and a file that uses half of it compiles without warnings. Vector
code uses only the vector extensions that gcc and clang share.
"""

from __future__ import annotations

from pock_ir.target import Target
from pock_ir.targets.c.math import scalar_math, vector_math
from pock_ir.targets.c.partial import partial_access
from pock_ir.targets.c.wide import wide_registers

_INCLUDES = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* inlined so that no vector travels through a call; a file need not use them all */
#define POCK_INLINE static inline __attribute__((always_inline, unused))
"""

_SCALAR = """\
static inline float pock_select(int condition, float a, float b)
{
    return condition ? a : b;
}

static inline uint32_t pock_bits(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

static inline float pock_float(uint32_t word)
{
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* the value of a word that holds a small integer in two's complement */
static inline float pock_integer(uint32_t word)
{
    return (float)(int32_t)word;
}

/* the quotient, rounded toward minus infinity */
static inline int64_t pock_floordiv(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* where part `part` of `parts` begins when `size` units of work are shared out */
static inline size_t pock_share(size_t size, size_t part, size_t parts)
{
    return size * part / parts;
}
"""

_VECTOR = """\
typedef float pock_vf __attribute__((vector_size(BYTES)));
typedef int32_t pock_vi __attribute__((vector_size(BYTES)));
typedef uint32_t pock_vu __attribute__((vector_size(BYTES)));
typedef uint8_t pock_vb __attribute__((vector_size(LANES)));
typedef uint16_t pock_vh __attribute__((vector_size(2 * LANES)));
typedef float pock_vf_any __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef int32_t pock_vi_any __attribute__((vector_size(BYTES), aligned(4), may_alias));

static inline pock_vf pock_load(const float *p)
{
    return *(const pock_vf_any *)p;
}

static inline void pock_store(float *p, pock_vf x)
{
    *(pock_vf_any *)p = x;
}

static inline pock_vi pock_loadi(const int32_t *p)
{
    return *(const pock_vi_any *)p;
}

static inline void pock_storei(int32_t *p, pock_vi x)
{
    *(pock_vi_any *)p = x;
}

/* a byte 0 or 1 becomes a lane 0 or -1 */
static inline pock_vi pock_load_mask(const uint8_t *p)
{
    pock_vb bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, pock_vh), pock_vi) != 0;
}

static inline void pock_store_mask(uint8_t *p, pock_vi mask)
{
    const pock_vh halves = __builtin_convertvector(mask & 1, pock_vh);
    const pock_vb bytes = __builtin_convertvector(halves, pock_vb);
    memcpy(p, &bytes, sizeof bytes);
}

static inline pock_vf pock_splat(float x)
{
    return x - (pock_vf){0}; /* the difference keeps the sign of -0.0 */
}

static inline pock_vi pock_splati(int32_t x)
{
    return x - (pock_vi){0};
}

static inline pock_vi pock_splat_mask(int condition)
{
    return -condition - (pock_vi){0};
}

/* 0, 1, 2, ... */
static inline pock_vi pock_lane(void)
{
    return (pock_vi){LANE_LIST};
}

static inline pock_vf pock_vselect(pock_vi mask, pock_vf a, pock_vf b)
{
    return (pock_vf)((mask & (pock_vi)a) | (~mask & (pock_vi)b));
}

static inline pock_vi pock_vselecti(pock_vi mask, pock_vi a, pock_vi b)
{
    return (mask & a) | (~mask & b);
}

static inline pock_vu pock_vbits(pock_vf x)
{
    return (pock_vu)x;
}

static inline pock_vf pock_vfloat(pock_vu words)
{
    return (pock_vf)words;
}

static inline pock_vf pock_vinteger(pock_vu words)
{
    return __builtin_convertvector((pock_vi)words, pock_vf);
}

static inline pock_vf pock_vsqrt(pock_vf x)
{
    for (int lane = 0; lane < LANES; lane++)
        x[lane] = sqrtf(x[lane]);
    return x;
}
"""


def _horizontal(lanes: int) -> str:
    """The reductions of one register; shuffles, since a loop over lanes would go through memory."""
    rounds = [lanes >> i for i in range(1, lanes.bit_length())]
    orders = [", ".join(str((i + width) % lanes) for i in range(lanes)) for width in rounds]
    turned = [f"__builtin_shufflevector(x, x, {order})" for order in orders]
    sums = "\n".join(f"    x += {text};" for text in turned)
    maxima = "\n".join(f"    x = pock_vmax(x, {text});" for text in turned)
    products = "\n".join(f"    x *= {text};" for text in turned)
    return f"""\
/* the sum of all lanes, halves first */
static inline float pock_vsum(pock_vf x)
{{
{sums}
    return x[0];
}}

/* the greatest lane, NaN if any is NaN */
static inline float pock_vmaximum(pock_vf x)
{{
{maxima}
    return x[0];
}}

/* the product of all lanes, halves first */
static inline float pock_vproduct(pock_vf x)
{{
{products}
    return x[0];
}}
"""


def _sized(text: str, lanes: int) -> str:
    values = {
        "LANE_LIST": ", ".join(map(str, range(lanes))),
        "BYTES": str(4 * lanes),
        "LANES": str(lanes),
    }
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def prelude(target: Target) -> str:
    """The C text that the kernels of `target` build on.

    Scalar: pock_exp, pock_log, pock_tanh, pock_erf, pock_max, pock_min, pock_abs, pock_uniform,
    pock_bits, pock_float, pock_floordiv, pock_share. With a vector unit also the types pock_vf
    (floats), pock_vi (int32_t, and masks of 0 and -1), pock_vu and the functions pock_load,
    pock_store, pock_loadi, pock_storei, pock_load_mask, pock_store_mask, pock_splat,
    pock_splati, pock_splat_mask, pock_lane, pock_load_part, pock_store_part, pock_vselect,
    pock_vselecti, pock_vsqrt, pock_vsum, pock_vmaximum, pock_vexp, pock_vmax, ... for each scalar
    function, and the type pock_vw (doubles) with its functions (see `wide`).
    """
    lanes = target.vector.lanes(4)
    parts = [_SCALAR, scalar_math()]
    if lanes > 1:
        parts += [_sized(_VECTOR, lanes), wide_registers(lanes), partial_access(lanes)]
        parts.append(vector_math())
        parts.append(_horizontal(lanes))
    return _INCLUDES + "\n" + "\n".join(parts).replace("static inline ", "POCK_INLINE ")
