"""C text of a whole matrix product: the loops over parts, blocks and panels around the tiles.

The order of the loops, outermost first: items of the batch, blocks of B's columns, blocks of K,
blocks of gathered rows, row panels, column panels. A block of B then stays in the second-level
cache and a row panel of A in the first. Where B is large and read in place (few rows), row panels
are innermost instead, so that B is read once.

The sum over K is taken in an order that depends only on the plan, and no element is written by
two parts: results are the same bits whoever runs the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from pock_ir.targets.c.kernels.gather import Gather
from pock_ir.targets.c.kernels.gemm_micro import Epilogue, Tile
from pock_ir.targets.c.kernels.gemm_pack import (
    Segments,
    pack_a_columns,
    pack_b_columns,
    pack_b_rows,
    size_of,
    start_of,
)
from pock_ir.targets.c.kernels.gemm_plan import Plan, Problem, run, ways
from pock_ir.targets.c.kernels.vector import Vector, aligned, c_function, indent


@dataclass(frozen=True)
class Items:
    """What one item of the batch adds, in floats, to the bases of A and B, and in rows and
    columns to the place in the result."""

    a: int = 0
    b: int = 0
    row: int = 0
    column: int = 0


NO_ITEMS = Items()
"""For a batch of one."""


@dataclass(frozen=True)
class Gemm:
    """One product as a C function `void NAME(parameters, unsigned char *scratch, int part)`.

    a, b: C expressions of the operands' bases. gather: collects rows of A (im2col) into scratch.
    segments: where B's rows begin if B is not one matrix. offset: floats of scratch that belong
    to other products of the same kernel, which other parts may be running.
    """

    name: str
    problem: Problem
    plan: Plan
    epilogue: Epilogue
    parameters: Sequence[str]
    a: str
    b: str
    items: Items = NO_ITEMS
    gather: Gather | None = None
    segments: Segments | None = None
    offset: int = 0

    @property
    def vector(self) -> Vector:
        return Vector(self.plan.lanes)

    @property
    def blocked(self) -> bool:
        """Whether K comes in more than one block."""
        return self.plan.depth < self.problem.k

    @cached_property
    def final(self) -> Epilogue:
        """The epilogue; partial sums go to scratch if they may not stand in the result."""
        if self.blocked and not self.problem.keeps:
            return ScratchPartial(self.epilogue, self.problem.n)
        return self.epilogue

    # Scratch: for all parts the partial sums, then for each part packed B, packed A, gathered A.

    @property
    def _partial_floats(self) -> int:
        if not self.blocked or self.problem.keeps:
            return 0
        return aligned(self.problem.batch * self.problem.m * self.problem.n)

    @property
    def _b_floats(self) -> int:
        plan = self.plan
        width = plan.columns.largest * plan.lanes
        return aligned(plan.chunk * plan.depth * width) if plan.pack_b else 0

    @property
    def _a_floats(self) -> int:
        return aligned(self.plan.depth * self.plan.rows.largest) if self.plan.pack_a else 0

    @property
    def block_width(self) -> int:
        """Floats between rows of the gathered block."""
        rows = self.plan.block * self.plan.rows.largest
        return rows if self.problem.a.row == 1 else self.plan.depth

    @property
    def _gather_floats(self) -> int:
        if self.gather is None:
            return 0
        rows = self.plan.block * self.plan.rows.largest
        return aligned(rows * self.plan.depth)

    @property
    def scratch_floats(self) -> int:
        """Scratch of all parts together, a multiple of 64 bytes."""
        each = self._b_floats + self._a_floats + self._gather_floats
        return self._partial_floats + self.plan.parts * each

    # Text.

    def text(self) -> str:
        """All functions, tiles first."""
        parts = [self.vector.definitions([self.plan.tail])]
        parts += self._packers()
        parts += [tile.text(self.vector, self.final) for tile in self.tiles()]
        signature = ", ".join([*self.parameters, "unsigned char *scratch", "int part"])
        parts.append(c_function(f"static void {self.name}({signature})", self._driver()))
        return "\n".join(part for part in parts if part)

    def _packers(self) -> list[str]:
        plan, problem = self.plan, self.problem
        texts: list[str] = []
        if self.gather is not None:
            texts.append(self.gather.text(f"{self.name}_gather", self.block_width, self.vector))
        if plan.pack_b and problem.b.column == 1 and not problem.scattered:
            texts.append(pack_b_rows(f"{self.name}_pack_b", plan, problem.b.row))
        elif plan.pack_b:
            packed = f"{self.name}_pack_b"
            column = problem.b.column
            texts.append(pack_b_columns(packed, plan, problem.n, column, self.segments))
        if plan.pack_a:
            texts.append(pack_a_columns(f"{self.name}_pack_a", plan, self._a_column))
        return texts

    @property
    def _a_column(self) -> int:
        gathered_columns = self.gather is not None and self.problem.a.row == 1
        return self.block_width if gathered_columns else self.problem.a.column

    @property
    def _a_row(self) -> int:
        gathered_rows = self.gather is not None and self.problem.a.row != 1
        return self.block_width if gathered_rows else self.problem.a.row

    def tile(self, rows: int, panel: int) -> Tile:
        """The tile of `rows` rows in column panel number `panel`."""
        plan, columns = self.plan, self.plan.columns
        vectors = columns.base + (1 if panel < columns.extra else 0)
        tail = plan.tail if panel == columns.count - 1 else 0
        suffix = f"_{tail}" if tail else ""
        return Tile(
            name=f"{self.name}_tile_{rows}x{vectors}{suffix}",
            rows=rows,
            vectors=vectors,
            tail=tail,
            a_row=1 if plan.pack_a else self._a_row,
            a_step=rows if plan.pack_a else self._a_column,
            b_step=vectors * plan.lanes if plan.pack_b else self.problem.b.row,
            padded=plan.pack_b,
            blocked=self.blocked,
            ways=ways(rows, vectors),
            run=run(rows, vectors, self.plan.depth),
        )

    def panels(self) -> list[tuple[int, int]]:
        """Runs of column panels that share a tile: (first, end)."""
        columns = self.plan.columns
        cuts = {0, columns.count, columns.extra}
        if self.plan.tail:
            cuts.add(columns.count - 1)
        edges = sorted(cuts)
        return list(pairwise(edges))

    def tiles(self) -> list[Tile]:
        """The distinct tiles."""
        found = {
            (rows, first): self.tile(rows, first)
            for rows in self.plan.rows.sizes()
            for first, _ in self.panels()
        }
        return list({tile.name: tile for tile in found.values()}.values())

    def _driver(self) -> list[str]:
        plan = self.plan
        lines = self._scratch_pointers()
        if self.problem.batch > 1:
            lines.append(self._range("batch", "item", self.problem.batch))
        lines.append(self._range("rows", "row", plan.rows.count))
        lines.append(self._range("columns", "column", plan.columns.count))
        if plan.parts == 1:
            lines.append("(void)part;")
        if self.scratch_floats == 0:
            lines.append("(void)scratch;")
        return lines + self._items()

    def _scratch_pointers(self) -> list[str]:
        each = self._b_floats + self._a_floats + self._gather_floats
        lines: list[str] = []
        shift = f" + {self.offset}" if self.offset else ""
        if self._partial_floats:
            lines.append(f"float *const partial = (float *)(void *)scratch{shift};")
        if each:
            own = f" + (size_t)part * {each}" if self.plan.parts > 1 else ""
            offset = self.offset + self._partial_floats
            start = f" + {offset}" if offset else ""
            lines.append(f"float *const own = (float *)(void *)scratch{start}{own};")
        offset = 0
        for name, size in (
            ("packed_b", self._b_floats),
            ("packed_a", self._a_floats),
            ("block", self._gather_floats),
        ):
            if size:
                lines.append(f"float *const {name} = own{f' + {offset}' if offset else ''};")
            offset += size
        return lines

    def _range(self, axis: str, name: str, count: int) -> str:
        plan = self.plan
        if plan.axis != axis or plan.parts == 1:
            return f"const size_t {name}_first = 0, {name}_end = {count};"
        share = f"pock_share({count}, (size_t)part{{}}, {plan.parts})"
        first, end = share.format(""), share.format(" + 1")
        return f"const size_t {name}_first = {first}, {name}_end = {end};"

    def _items(self) -> list[str]:
        if self.problem.batch == 1:
            lines = [f"const float *const a = {self.a}, *const b = {self.b};"]
            return [*lines, *self._column_blocks()]
        a = f"{self.a} + item * {self.items.a}" if self.items.a else self.a
        b = f"{self.b} + item * {self.items.b}" if self.items.b else self.b
        return [
            "for (size_t item = item_first; item < item_end; item++) {",
            f"    const float *const a = {a}, *const b = {b};",
            *indent(self._column_blocks()),
            "}",
        ]

    def _column_blocks(self) -> list[str]:
        chunk = self.plan.chunk
        if chunk >= self.plan.columns.count:
            return ["const size_t p0 = column_first, p1 = column_end;", *self._depth_blocks()]
        return [
            f"for (size_t p0 = column_first; p0 < column_end; p0 += {chunk}) {{",
            f"    const size_t p1 = p0 + {chunk} < column_end ? p0 + {chunk} : column_end;",
            *indent(self._depth_blocks()),
            "}",
        ]

    def _depth_blocks(self) -> list[str]:
        k, depth = self.problem.k, self.plan.depth
        pack = [f"{self.name}_pack_b(b, packed_b, k0, count, p0, p1);"] if self.plan.pack_b else []
        if not self.blocked:
            start = [f"const size_t k0 = 0, count = {k};"]
            return [*start, *pack, *self._row_blocks()]
        size = f"{k} - k0 < {depth} ? {k} - k0 : {depth}" if k % depth else str(depth)
        return [
            f"for (size_t k0 = 0; k0 < {k}; k0 += {depth}) {{",
            f"    const size_t count = {size};",
            f"    const int first = k0 == 0, last = k0 + count == {k};",
            *indent([*pack, *self._row_blocks()]),
            "}",
        ]

    def _row_blocks(self) -> list[str]:
        if self.plan.columns_outer:
            return self._columns_outer()
        if self.gather is None:
            return self._row_panels("row_first", "row_end")
        block = self.plan.block
        start = start_of(self.plan.rows, "q0")
        end = start_of(self.plan.rows, "q1")
        rows, columns = "m0, m1", "k0, k0 + count"
        if self.problem.a.row == 1:
            rows, columns = columns, rows
        return [
            f"for (size_t q0 = row_first; q0 < row_end; q0 += {block}) {{",
            f"    const size_t q1 = q0 + {block} < row_end ? q0 + {block} : row_end;",
            f"    const size_t m0 = {start}, m1 = {end};",
            f"    {self.name}_gather(a, block, {rows}, {columns});",
            *indent(self._row_panels("q0", "q1")),
            "}",
        ]

    def _row_panels(self, first: str, end: str) -> list[str]:
        lines = [f"for (size_t q = {first}; q < {end}; q++) {{", *indent(self._row_start("q"))]
        if self.plan.pack_a:
            rows = size_of(self.plan.rows, "q")
            lines.append(f"    {self.name}_pack_a(panel, packed_a, count, {rows});")
        pointer = "packed_a" if self.plan.pack_a else "panel"
        for span in self.panels():
            lines += indent(self._by_rows(self._column_loop(span, pointer)))
        return [*lines, "}"]

    def _row_start(self, index: str) -> list[str]:
        """The first row of a panel and the address of its first element of A."""
        lines = [f"const size_t m = {start_of(self.plan.rows, index)};"]
        if self.gather is None:
            a, problem = "a", self.problem
            place = f"m * {problem.a.row} + k0 * {problem.a.column}"
        elif self.problem.a.row == 1:
            a, place = "block", "(m - m0)"
        else:
            a, place = "block", f"(m - m0) * {self.block_width}"
        return [*lines, f"const float *const panel = {a} + {place};"]

    def _by_rows(self, body: dict[int, list[str]]) -> list[str]:
        """Choose the text for the panel's number of rows; `body` has one per size."""
        sizes = self.plan.rows.sizes()
        if len(sizes) == 1:
            return body[sizes[0]]
        return [
            f"if (q < {self.plan.rows.extra}) {{",
            *indent(body[sizes[0]]),
            "} else {",
            *indent(body[sizes[1]]),
            "}",
        ]

    def _column_loop(self, span: tuple[int, int], pointer: str) -> dict[int, list[str]]:
        """The loop over the column panels of one span that lie in p0..p1, by number of rows."""
        first, end = span
        low = "p0" if first == 0 else f"(p0 > {first} ? p0 : {first})"
        high = "p1" if end == self.plan.columns.count else f"(p1 < {end} ? p1 : {end})"
        head = f"for (size_t p = {low}; p < {high}; p++)"
        return {
            rows: [head, "    " + self._tile_call(rows, first, pointer)]
            for rows in self.plan.rows.sizes()
        }

    def _columns_outer(self) -> list[str]:
        lines: list[str] = []
        for first, end in self.panels():
            low = "p0" if first == 0 else f"(p0 > {first} ? p0 : {first})"
            high = "p1" if end == self.plan.columns.count else f"(p1 < {end} ? p1 : {end})"
            sizes = self.plan.rows.sizes()
            calls = {rows: [self._tile_call(rows, first, "panel")] for rows in sizes}
            lines += [
                f"for (size_t p = {low}; p < {high}; p++)",
                "    for (size_t q = row_first; q < row_end; q++) {",
                *indent([*self._row_start("q"), *self._by_rows(calls)], 2),
                "    }",
            ]
        return lines

    def _tile_call(self, rows: int, panel: int, pointer: str) -> str:
        plan, lanes = self.plan, self.plan.lanes
        n = f"{start_of(plan.columns, 'p')} * {lanes}"
        b = f"b + k0 * {self.problem.b.row} + {n}"
        if plan.pack_b:
            b = f"packed_b + (p - p0) * {plan.depth * plan.columns.largest * lanes}"
        row, column = "m", n
        if self.problem.batch > 1 and self.items.row:
            row = f"item * {self.items.row} + m"
        if self.problem.batch > 1 and self.items.column:
            column = f"item * {self.items.column} + {n}"
        return self.tile(rows, panel).call(pointer, b, "count", row, column, self.final)


class ScratchPartial:
    """An epilogue whose partial sums stand in scratch, because the result's memory is in use."""

    def __init__(self, inner: Epilogue, width: int) -> None:
        self._inner = inner
        self._width = width

    @property
    def parameters(self) -> Sequence[str]:
        return [*self._inner.parameters, "float *partial"]

    @property
    def names(self) -> Sequence[str]:
        return [*self._inner.names, "partial"]

    @property
    def weight(self) -> int:
        return self._inner.weight

    def statements(
        self, value: str, row: str, column: str, count: int, vector: Vector
    ) -> list[str]:
        return self._inner.statements(value, row, column, count, vector)

    def partial(self, row: str, column: str) -> str:
        return f"partial + {row} * {self._width} + {column}"
