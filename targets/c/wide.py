"""C text of double-precision registers: `pock_vw`, as many doubles as a float register has lanes.

It is a struct of two registers, because gcc keeps a vector that is wider than the machine's in
memory when it is carried around a loop. Conversions do go through such a vector: gcc splits them
into the machine's own instructions.
"""

from __future__ import annotations

_TEXT = """\
typedef double pock_wh __attribute__((vector_size(BYTES)));
typedef double pock_wh_any __attribute__((vector_size(BYTES), aligned(8), may_alias));
typedef double pock_wide __attribute__((vector_size(2 * BYTES)));
typedef int64_t pock_wl __attribute__((vector_size(BYTES)));
typedef struct {
    pock_wh low, high;
} pock_vw;

static inline pock_vw pock_widen(pock_vf x)
{
    const pock_wide y = __builtin_convertvector(x, pock_wide);
    return (pock_vw){__builtin_shufflevector(y, y, LOW), __builtin_shufflevector(y, y, HIGH)};
}

static inline pock_vf pock_narrow(pock_vw x)
{
    return __builtin_convertvector(__builtin_shufflevector(x.low, x.high, LOW, HIGH), pock_vf);
}

static inline pock_vw pock_splatw(double x)
{
    const pock_wh half = x - (pock_wh){0}; /* the difference keeps the sign of -0.0 */
    return (pock_vw){half, half};
}

static inline pock_vw pock_loadw(const double *p)
{
    return (pock_vw){*(const pock_wh_any *)p, *(const pock_wh_any *)(p + HALF)};
}

static inline void pock_storew(double *p, pock_vw x)
{
    *(pock_wh_any *)p = x.low;
    *(pock_wh_any *)(p + HALF) = x.high;
}

OPERATORS
static inline pock_wh pock_whsqrt(pock_wh x)
{
    for (int lane = 0; lane < HALF; lane++)
        x[lane] = sqrt(x[lane]);
    return x;
}

static inline pock_vw pock_wsqrt(pock_vw x)
{
    return (pock_vw){pock_whsqrt(x.low), pock_whsqrt(x.high)};
}

static inline pock_vw pock_wselect(pock_vi mask, pock_vw a, pock_vw b)
{
    typedef int64_t both __attribute__((vector_size(2 * BYTES)));
    const both wide = __builtin_convertvector(mask, both);
    const pock_wl low = __builtin_shufflevector(wide, wide, LOW);
    const pock_wl high = __builtin_shufflevector(wide, wide, HIGH);
    return (pock_vw){(pock_wh)((low & (pock_wl)a.low) | (~low & (pock_wl)b.low)),
                     (pock_wh)((high & (pock_wl)a.high) | (~high & (pock_wl)b.high))};
}

/* the sum of all lanes, halves first */
static inline double pock_wsum(pock_vw w)
{
    pock_wh x = w.low + w.high;
SUMS
    return x[0];
}
"""

_OPERATOR = """\
static inline pock_vw pock_wNAME(pock_vw a, pock_vw b)
{
    return (pock_vw){a.low SIGN b.low, a.high SIGN b.high};
}
"""


def _operators() -> str:
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
    texts = (_OPERATOR.replace("NAME", n).replace("SIGN", s) for n, s in signs.items())
    return "\n".join(texts)


def _sums(half: int) -> str:
    lines: list[str] = []
    width = half // 2
    while width:
        order = ", ".join(str((i + width) % half) for i in range(half))
        lines.append(f"    x += __builtin_shufflevector(x, x, {order});")
        width //= 2
    return "\n".join(lines)


def wide_registers(lanes: int) -> str:
    """pock_vw and its functions; `lanes` is that of a float register, at least 4.

    Needs the types of the prelude, and `partial_access` needs this.
    """
    half = lanes // 2
    words = {
        "OPERATORS": _operators(),
        "SUMS": _sums(half),
        "LOW": ", ".join(map(str, range(half))),
        "HIGH": ", ".join(map(str, range(half, lanes))),
        "HALF": str(half),
        "BYTES": str(4 * lanes),
    }
    text = _TEXT
    for word, value in words.items():
        text = text.replace(word, value)
    return text
