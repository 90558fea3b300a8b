"""C text that loads and stores the first lanes of a register, for the end of a row.

gcc sends a memcpy of part of a register through memory, where the load waits for the stores; so
x86's masked instructions are named where the compiler offers them.
"""

from __future__ import annotations

from typing import TypeAlias

_TEXT = """\
/* the first `count` lanes: the others are loaded as 0 and are not stored */
FUNCTIONS
static inline pock_vi pock_load_mask_part(const uint8_t *p, size_t count)
{
    uint8_t bytes[LANES] = {0};
    memcpy(bytes, p, count);
    return pock_load_mask(bytes);
}

static inline void pock_store_mask_part(uint8_t *p, pock_vi mask, size_t count)
{
    uint8_t bytes[LANES];
    pock_store_mask(bytes, mask);
    memcpy(p, bytes, count);
}
"""

_FUNCTION = """\
static inline VECTOR pock_loadSUFFIX_part(const ELEMENT *p, size_t count)
{
    LOAD
}

static inline void pock_storeSUFFIX_part(ELEMENT *p, VECTOR x, size_t count)
{
    STORE
}
"""

_WIDE_TEXT = """\
static inline pock_vw pock_loadw_part(const double *p, size_t count)
{
    if (count <= HALF)
        return (pock_vw){pock_load_half(p, count), {0}};
    return (pock_vw){*(const pock_wh_any *)p, pock_load_half(p + HALF, count - HALF)};
}

static inline void pock_storew_part(double *p, pock_vw x, size_t count)
{
    pock_store_half(p, x.low, count <= HALF ? count : HALF);
    if (count > HALF)
        pock_store_half(p + HALF, x.high, count - HALF);
}
"""

_LANE_BY_LANE = (
    "VECTOR x = {0};\n"
    "    for (size_t lane = 0; lane < count; lane++)\n"
    "        x[lane] = p[lane];\n"
    "    return x;",
    "for (size_t lane = 0; lane < count; lane++)\n        p[lane] = x[lane];",
)
_MASK16 = "(unsigned short)((1u << count) - 1u)"
_MASK8 = "pock_lane() < (int32_t)count"
_POINTER_HALF = "(const pock_wh *)(const void *)p"
_MASK16_HALF = "(unsigned char)((1u << count) - 1u)"
_MASK8_HALF = "(pock_wl){0, 1, 2, 3} < (int64_t)count"

# By the number of lanes: the macro that tells of the instructions, then (load, store) for floats,
# for integers, and for half as many doubles.
_MASKED: dict[int, tuple[str, tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    16: (
        "__AVX512F__",
        (
            f"return __builtin_ia32_loadups512_mask(p, (pock_vf){{0}}, {_MASK16});",
            f"__builtin_ia32_storeups512_mask(p, x, {_MASK16});",
        ),
        (
            f"return __builtin_ia32_loaddqusi512_mask(p, (pock_vi){{0}}, {_MASK16});",
            f"__builtin_ia32_storedqusi512_mask(p, x, {_MASK16});",
        ),
        (
            f"return __builtin_ia32_loadupd512_mask(p, (pock_wh){{0}}, {_MASK16_HALF});",
            f"__builtin_ia32_storeupd512_mask(p, x, {_MASK16_HALF});",
        ),
    ),
    8: (
        "__AVX2__",
        (
            f"return __builtin_ia32_maskloadps256((const pock_vf *)(const void *)p, {_MASK8});",
            f"__builtin_ia32_maskstoreps256((pock_vf *)(void *)p, {_MASK8}, x);",
        ),
        (
            f"return __builtin_ia32_maskloadd256((const pock_vi *)(const void *)p, {_MASK8});",
            f"__builtin_ia32_maskstored256((pock_vi *)(void *)p, {_MASK8}, x);",
        ),
        (
            f"return __builtin_ia32_maskloadpd256({_POINTER_HALF}, {_MASK8_HALF});",
            f"__builtin_ia32_maskstorepd256((pock_wh *)(void *)p, {_MASK8_HALF}, x);",
        ),
    ),
}


_Access: TypeAlias = tuple[str, str]


def _functions(floats: _Access, integers: _Access, halves: _Access) -> str:
    texts: list[str] = []
    for vector, element, suffix, (load, store) in (
        ("pock_vf", "float", "", floats),
        ("pock_vi", "int32_t", "i", integers),
        ("pock_wh", "double", "_half", halves),
    ):
        text = _FUNCTION.replace("LOAD", load).replace("STORE", store)
        text = text.replace("VECTOR", vector).replace("ELEMENT", element)
        text = text.replace("SUFFIX", suffix)
        texts.append(text.replace("_half_part", "_half"))
    return "\n".join(texts)


def partial_access(lanes: int) -> str:
    """pock_load_part, pock_store_part and the same for doubles (w), integers (i), masks (_mask).

    count: 1..lanes-1, a constant where it is called. Needs the types and functions of the prelude.
    """
    functions = _functions(_LANE_BY_LANE, _LANE_BY_LANE, _LANE_BY_LANE)
    if lanes in _MASKED:
        macro, *accesses = _MASKED[lanes]
        masked = _functions(*accesses)
        functions = f"#if defined({macro}) && defined(__GNUC__)\n{masked}#else\n{functions}#endif\n"
    text = _TEXT.replace("FUNCTIONS", functions) + "\n" + _WIDE_TEXT
    return text.replace("LANES", str(lanes)).replace("HALF", str(lanes // 2))
