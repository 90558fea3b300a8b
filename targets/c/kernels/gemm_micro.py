"""C text of one register tile: C[rows, vectors] += A[rows, k] B[k, vectors] for k in a range.

All accumulators are named variables, so that no compiler has to be trusted to break up an array.
One step of k loads `vectors` vectors of B, and per row broadcasts one element of A.
Read in the assembly of gcc 12 and clang 19 for x86-64-v4 (6x4, 9x3 and 14x2 tiles): every product
is a vfmadd231ps on zmm registers, and nothing is spilled in the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pock_ir.targets.c.kernels.vector import Vector, c_function, indent

_TOTAL = "c"
"""The first letter of the names of the finished sums, one per element."""

_WAYS = "wxyz"
"""The first letter of the names of each way's sums, where there are more than the finished ones."""


class Epilogue(Protocol):
    """What happens to a finished element of the product, as C text.

    parameters: C declarations of the pointers that the statements use; names: the same pointers.
    weight: roughly the number of vector instructions.
    """

    @property
    def parameters(self) -> Sequence[str]: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def weight(self) -> int: ...

    def statements(
        self, value: str, row: str, column: str, count: int, vector: Vector
    ) -> list[str]:
        """Finish `value`, the vector at (row, column), of which `count` lanes (0: all) are valid.

        `value`, `row` and `column` are C expressions without side effects.
        """
        ...

    def partial(self, row: str, column: str) -> str:
        """A C expression: where the partial sum of (row, column) stands between K blocks."""
        ...


@dataclass(frozen=True)
class Tile:
    """A tile function: `rows` x `vectors`, `tail` valid lanes in the last vector (0: all).

    Strides are in floats: A advances `a_row` per row and `a_step` per k, B `b_step` per k.
    blocked: K comes in several blocks, so `first` and `last` say which one this is.
    padded: B may be read beyond the tail. ways: sums per element, each of every ways-th product.
    run: so many products are summed before they are added to what came before; 0: all of them.
    """

    name: str
    rows: int
    vectors: int
    tail: int
    a_row: int
    a_step: int
    b_step: int
    padded: bool
    blocked: bool
    ways: int
    run: int

    def signature(self, epilogue: Epilogue) -> str:
        flags = ["int first", "int last"] if self.blocked else []
        fixed = ["const float *a", "const float *b", "size_t count", "size_t m", "size_t n"]
        return f"static void {self.name}({', '.join([*fixed, *flags, *epilogue.parameters])})"

    def call(self, a: str, b: str, count: str, m: str, n: str, epilogue: Epilogue) -> str:
        flags = ["first", "last"] if self.blocked else []
        return f"{self.name}({', '.join([a, b, count, m, n, *flags, *epilogue.names])});"

    def text(self, vector: Vector, epilogue: Epilogue) -> str:
        """The function, as C."""
        body = [*self._declared(_TOTAL, vector), *self._sums(vector)]
        if self.blocked:
            body += self._partial(vector, epilogue)
        body += self._finish(vector, epilogue)
        return c_function(self.signature(epilogue), body)

    def _cells(self) -> list[tuple[int, int]]:
        return [(i, v) for i in range(self.rows) for v in range(self.vectors)]

    def _valid(self, v: int) -> int:
        return self.tail if v == self.vectors - 1 else 0

    def _declared(self, letter: str, vector: Vector) -> list[str]:
        """A sum for each element, which is 0."""
        return [
            f"{vector.type} "
            + ", ".join(f"{letter}{i}_{v} = {vector.zero}" for v in range(self.vectors))
            + ";"
            for i in range(self.rows)
        ]

    def _sums(self, vector: Vector) -> list[str]:
        """All products, added to the finished sums."""
        if not self.run:
            return self._run("count", vector)
        lines = [f"const size_t run = left < {self.run} ? left : {self.run};", "left -= run;"]
        lines += self._run("run", vector)
        return ["for (size_t left = count; left > 0;) {", *indent(lines), "}"]

    def _run(self, count: str, vector: Vector) -> list[str]:
        """`count` products: `ways` steps of k at once, then the rest, then one sum per element."""
        if self.ways == 1 and not self.run:
            return [
                f"for (size_t k = 0; k < {count}; k++) {{",
                *indent(self._step(_TOTAL, vector)),
                "}",
            ]
        ways = _WAYS[: self.ways]
        lines = [line for way in ways for line in self._declared(way, vector)]
        if self.ways > 1:
            lines.append("size_t k = 0;")
            steps = [["{", *indent(self._step(way, vector)), "}"] for way in ways]
            lines.append(f"for (; k + {self.ways} <= {count}; k += {self.ways}) {{")
            lines += [*indent([line for step in steps for line in step]), "}"]
            lines.append(f"for (; k < {count}; k++) {{")
        else:
            lines.append(f"for (size_t k = 0; k < {count}; k++) {{")
        return [*lines, *indent(self._step(ways[0], vector)), "}", *self._combined()]

    def _step(self, way: str, vector: Vector) -> list[str]:
        """The products of one k, added to the sums of `way`."""
        lines: list[str] = []
        for v in range(self.vectors):
            count = 0 if self.padded else self._valid(v)
            pointer = f"b + {v * vector.lanes}" if v else "b"
            lines.append(f"const {vector.type} b{v} = {vector.load_part(pointer, count)};")
        for i in range(self.rows):
            lines.append(f"const float s{i} = a[{i * self.a_row}];")
            sums = [f"{way}{i}_{v} += s{i} * b{v};" for v in range(self.vectors)]
            lines.append(" ".join(sums))
        return [*lines, f"a += {self.a_step};", f"b += {self.b_step};"]

    def _combined(self) -> list[str]:
        """The sums of all ways, added in pairs, and then to the finished ones."""
        pairs: list[tuple[str, str]] = []
        half = self.ways
        while half > 1:
            half //= 2
            pairs += [(_WAYS[way], _WAYS[way + half]) for way in range(half)]
        pairs.append((_TOTAL, _WAYS[0]))
        return [f"{to}{i}_{v} += {way}{i}_{v};" for to, way in pairs for i, v in self._cells()]

    def _at(self, i: int, v: int, vector: Vector) -> tuple[str, str]:
        row = f"(m + {i})" if i else "m"
        column = f"(n + {v * vector.lanes})" if v else "n"
        return row, column

    def _partial(self, vector: Vector, epilogue: Epilogue) -> list[str]:
        """Add what earlier K blocks left; leave the sum for the next block unless it is last."""
        add, leave = ["if (!first) {"], ["if (!last) {"]
        for i, v in self._cells():
            where = epilogue.partial(*self._at(i, v, vector))
            count = self._valid(v)
            add.append(f"    c{i}_{v} += {vector.load_part(where, count)};")
            leave.append("    " + vector.store_part(where, f"c{i}_{v}", count))
        return [*add, "}", *leave, "    return;", "}"]

    def _finish(self, vector: Vector, epilogue: Epilogue) -> list[str]:
        cells = self._cells()
        if epilogue.weight * len(cells) <= 400:
            return [line for i, v in cells for line in self._direct(i, v, vector, epilogue)]
        return self._through_memory(vector, epilogue)

    def _direct(self, i: int, v: int, vector: Vector, epilogue: Epilogue) -> list[str]:
        row, column = self._at(i, v, vector)
        body = epilogue.statements(f"c{i}_{v}", row, column, self._valid(v), vector)
        return body if len(body) == 1 else ["{", *indent(body), "}"]

    def _through_memory(self, vector: Vector, epilogue: Epilogue) -> list[str]:
        """A long epilogue runs in a loop over the tile in the first-level cache: unrolling it for
        every accumulator would not pay for its code size."""
        size = self.rows * self.vectors
        cells = ", ".join(f"c{i}_{v}" for i, v in self._cells())
        lines = [f"const {vector.type} tile[{size}] = {{{cells}}};"]
        whole = self.vectors - 1 if self.tail else self.vectors
        lines.append(f"for (size_t i = 0; i < {self.rows}; i++) {{")
        if whole:
            value = f"tile[i * {self.vectors} + v]"
            column = f"(n + v * {vector.lanes})"
            body = epilogue.statements(value, "(m + i)", column, 0, vector)
            lines.append(f"    for (size_t v = 0; v < {whole}; v++) {{")
            lines += [*indent(body, 2), "    }"]
        if self.tail:
            value = f"tile[i * {self.vectors} + {whole}]"
            column = f"(n + {whole * vector.lanes})"
            body = epilogue.statements(value, "(m + i)", column, self.tail, vector)
            lines += ["    {", *indent(body, 2), "    }"]
        return [*lines, "}"]
