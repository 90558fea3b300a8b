"""C text that copies operands of a matrix product into the order in which tiles read them.

A packed panel of B holds, for each k, the `vectors * lanes` elements of its columns side by side;
a packed panel of A holds for each k the elements of its rows. Lanes beyond the last column hold
unspecified values: nothing that depends on them is ever stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pock_ir.targets.c.kernels.gemm_plan import Plan, Split
from pock_ir.targets.c.kernels.vector import Vector, c_function, indent


@dataclass(frozen=True)
class Segments:
    """Where the k-th row of B begins when B is not one matrix: k = segment * length + within.

    starts: the offset in floats of each segment; within a segment, steps are B's row stride.
    """

    length: int
    starts: tuple[int, ...]


def start_of(split: Split, index: str) -> str:
    """A C expression: the first unit of run `index`."""
    if not split.extra:
        return f"{index} * {split.base}"
    return f"({index} * {split.base} + ({index} < {split.extra} ? {index} : {split.extra}))"


def size_of(split: Split, index: str) -> str:
    """A C expression: the number of units in run `index`."""
    if not split.extra:
        return str(split.base)
    return f"({index} < {split.extra} ? (size_t){split.base + 1} : (size_t){split.base})"


def pack_b_rows(name: str, plan: Plan, row: int) -> str:
    """void NAME(b, to, k0, count, first, end): rows of B that are contiguous, stride `row`.

    Copies column panels first..end of rows k0..k0+count; panels are `depth` rows apart in `to`.
    """
    vector, lanes = Vector(plan.lanes), plan.lanes
    last = plan.columns.count - 1
    whole = f"vectors - (p == {last})" if plan.tail else "vectors"
    part = vector.load_part(f"from + whole * {lanes}", plan.tail)
    tail = ["if (whole < vectors)", "    " + vector.store(f"out + whole * {lanes}", part)]
    inner = [
        "for (size_t v = 0; v < whole; v++)",
        "    " + vector.store(f"out + v * {lanes}", vector.load(f"from + v * {lanes}")),
        *(tail if plan.tail else []),
        f"from += {row};",
        f"out += vectors * {lanes};",
    ]
    body = [
        *_panel_start(plan),
        f"const size_t whole = {whole};",
        f"const float *from = b + k0 * {row} + {start_of(plan.columns, 'p')} * {lanes};",
        "float *out = panel;",
        "for (size_t k = 0; k < count; k++) {",
        *indent(inner),
        "}",
    ]
    return _over_panels(name, body)


def pack_b_columns(name: str, plan: Plan, n: int, column: int, segments: Segments | None) -> str:
    """As `pack_b_rows` for a B whose columns are contiguous: B[k, n] = b[n * column + k].

    With segments, B[k, n] = b[starts[k / length] + n * column + k % length].
    """
    lanes = plan.lanes
    start = start_of(plan.columns, "p")
    strip = [
        f"const size_t n = ({start} + v) * {lanes};",
        f"const size_t valid = {n} - n < {lanes} ? {n} - n : {lanes};"
        if plan.tail
        else f"const size_t valid = {lanes};",
        f"float *const out = panel + v * {lanes};",
        *_strip(lanes, column, segments),
    ]
    body = [
        *_panel_start(plan),
        "for (size_t v = 0; v < vectors; v++) {",
        *indent(strip),
        "}",
    ]
    table = ""
    if segments is not None:
        values = ", ".join(map(str, segments.starts))
        table = f"static const size_t {name}_starts[] = {{{values}}};\n\n"
        body = [line.replace("STARTS", f"{name}_starts") for line in body]
    return transposition(lanes) + table + _over_panels(name, body)


def _strip(lanes: int, column: int, segments: Segments | None) -> list[str]:
    step = f"vectors * {lanes}"
    if segments is None:
        source = f"b + n * {column} + k0"
        return [f"pock_pack_columns({source}, {column}, valid, count, out, {step});"]
    source = f"b + STARTS[k / {segments.length}] + n * {column} + within"
    target = f"out + (k - k0) * {step}"
    return [
        "for (size_t k = k0; k < k0 + count;) {",
        f"    const size_t within = k % {segments.length};",
        f"    const size_t left = k0 + count - k, run = {segments.length} - within;",
        "    const size_t some = left < run ? left : run;",
        f"    pock_pack_columns({source}, {column}, valid, some, {target}, {step});",
        "    k += some;",
        "}",
    ]


def _panel_start(plan: Plan) -> list[str]:
    width = plan.depth * plan.columns.largest * plan.lanes
    return [
        f"const size_t vectors = {size_of(plan.columns, 'p')};",
        f"float *const panel = to + (p - first) * {width};",
    ]


def _over_panels(name: str, body: list[str]) -> str:
    arguments = "const float *b, float *to, size_t k0, size_t count, size_t first, size_t end"
    loop = ["for (size_t p = first; p < end; p++) {", *indent(body), "}"]
    return c_function(f"static void {name}({arguments})", loop)


@cache
def transposition(lanes: int) -> str:
    """void pock_pack_columns(from, column, valid, count, to, step), guarded.

    to[k * step + j] = from[j * column + k] for k < count and j < valid, lanes j >= valid hold
    unspecified values. Blocks of lanes x lanes are transposed in registers.
    """
    signature = (
        "static inline void pock_pack_columns(const float *from, size_t column, size_t valid, "
        "size_t count,\n    float *to, size_t step)"
    )
    rest = [
        "for (size_t k = whole; k < count; k++)",
        f"    for (size_t j = 0; j < {lanes}; j++)",
        "        to[k * step + j] = from[(j < valid ? j : 0) * column + k];",
    ]
    block = _transpose_block(lanes) if lanes > 1 else []
    whole = f"count - count % {lanes}" if lanes > 1 else "0"
    text = c_function(signature, [f"const size_t whole = {whole};", *block, *rest])
    return f"#ifndef POCK_PACK_COLUMNS\n#define POCK_PACK_COLUMNS\n{text}#endif\n\n"


def _transpose_block(lanes: int) -> list[str]:
    """log2(lanes) rounds of interleaving row i with row i + lanes/2 transpose the block."""
    half = lanes // 2
    low = ", ".join(f"{i}, {lanes + i}" for i in range(half))
    high = ", ".join(f"{half + i}, {lanes + half + i}" for i in range(half))
    names = [f"x{i}" for i in range(lanes)]
    body = [
        f"const pock_vf x{i} = pock_load(from + ({i} < valid ? {i} : 0) * column + k);"
        for i in range(lanes)
    ]
    for round in range(lanes.bit_length() - 1):
        fresh = [f"y{round}_{i}" for i in range(lanes)]
        for i in range(half):
            pair = f"{names[i]}, {names[i + half]}"
            for name, mask in ((fresh[2 * i], low), (fresh[2 * i + 1], high)):
                body.append(f"const pock_vf {name} = __builtin_shufflevector({pair}, {mask});")
        names = fresh
    body += [f"pock_store(to + (k + {i}) * step, {name});" for i, name in enumerate(names)]
    return [f"for (size_t k = 0; k < whole; k += {lanes}) {{", *indent(body), "}"]


def pack_a_columns(name: str, plan: Plan, column: int) -> str:
    """void NAME(a, to, count, rows): one row panel of an A whose columns are contiguous.

    to[k * rows + i] = a[k * column + i] for k < count, i < rows.
    """
    body: list[str] = []
    for rows in plan.rows.sizes():
        body += [
            f"if (rows == {rows}) {{",
            f"    for (size_t k = 0; k < count; k++, a += {column}, to += {rows})",
            f"        memcpy(to, a, {4 * rows});",
            "}",
        ]
    return c_function(
        f"static void {name}(const float *a, float *to, size_t count, size_t rows)", body
    )
