"""C text that collects the input pixels under a convolution's window into rows (im2col).

Row r is one position of the window; its columns are the window's taps, each with its channels.
Only a block of rows and columns is collected at a time, so the matrix never exists as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from pock_ir.targets.c.kernels.vector import Vector, c_function, indent


@dataclass(frozen=True)
class Gather:
    """Rows over images [N, height, width, pixel] in memory, of which `channels` are taken.

    rows, columns: window positions per image. strides: pixels between positions. runs: the
    offset (y, x) in pixels of each run from position * stride; a run is `taps` pixels that
    follow each other in x, `taps` > 1 only if channels == pixel. Pixels outside are zero.
    """

    height: int
    width: int
    pixel: int
    channels: int
    rows: int
    columns: int
    strides: tuple[int, int]
    runs: tuple[tuple[int, int], ...]
    taps: int

    @property
    def run(self) -> int:
        """Floats in a run."""
        return self.taps * self.channels

    def text(self, name: str, width: int, vector: Vector) -> str:
        """void NAME(from, to, r0, r1, c0, c1): element (r, c) to to[(r - r0) * width + c - c0]."""
        tables = "".join(
            f"static const ptrdiff_t {name}_{axis}[] = "
            f"{{{', '.join(str(run[index]) for run in self.runs)}}};\n"
            for index, axis in enumerate("yx")
        )
        signature = (
            f"static void {name}(const float *from, float *to, size_t r0, size_t r1, "
            "size_t c0, size_t c1)"
        )
        image = self.height * self.width * self.pixel
        body = [
            f"const float *image = from + r0 / {self.rows * self.columns} * {image};",
            f"size_t t = r0 / {self.columns} % {self.rows}, u = r0 % {self.columns};",
            "for (size_t r = r0; r < r1; r++) {",
            f"    float *out = to + (r - r0) * {width};",
            *indent(self._inside()),
            f"    for (size_t j = c0 / {self.run}; j * {self.run} < c1; j++) {{",
            *indent(self._run(name), 2),
            "    }",
            f"    if (++u == {self.columns}) {{",
            "        u = 0;",
            f"        if (++t == {self.rows}) {{",
            "            t = 0;",
            f"            image += {image};",
            "        }",
            "    }",
            "}",
        ]
        return copies(vector) + tables + c_function(signature, body)

    def _inside(self) -> list[str]:
        """Copy a whole row of a window that lies inside of the image: for a first layer, where
        the runs are short, the conditions would take longer than the copies.
        """
        if len(self.runs) > 9 or self.run > 64:
            return []
        (top, bottom), (left, right) = (
            (min(run[i] for run in self.runs), max(run[i] for run in self.runs)) for i in (0, 1)
        )
        sy, sx = self.strides
        inside = [
            "c0 == 0",
            f"c1 == {len(self.runs) * self.run}",
            "y >= 0",
            f"y < {self.height - bottom + top}",
            "x >= 0",
            f"x <= {self.width - self.taps - right + left}",
        ]
        lines = [
            f"const ptrdiff_t y = (ptrdiff_t)t * {sy} + {top};",
            f"const ptrdiff_t x = (ptrdiff_t)u * {sx} + {left};",
            f"if ({' && '.join(inside)}) {{",
            f"    const float *const corner = image + (y * {self.width} + x) * {self.pixel};",
        ]
        for j, (dy, dx) in enumerate(self.runs):
            offset = ((dy - top) * self.width + dx - left) * self.pixel
            lines.append(f"    pock_copy(out + {j * self.run}, corner + {offset}, {self.run});")
        return [*lines, "} else"]

    def _run(self, name: str) -> list[str]:
        """Copy the part of run j that lies in columns c0..c1."""
        run, channels = self.run, self.channels
        sy, sx = self.strides
        return [
            f"const size_t start = j * {run};",
            "const size_t low = c0 > start ? c0 - start : 0;",
            f"const size_t high = c1 - start < {run} ? c1 - start : {run};",
            "if (high <= low)",
            "    break;",
            f"const ptrdiff_t row = (ptrdiff_t)t * {sy} + {name}_y[j];",
            f"const ptrdiff_t column = (ptrdiff_t)u * {sx} + {name}_x[j];",
            f"const ptrdiff_t at = (row * {self.width} + column) * {self.pixel};",
            f"if (row < 0 || row >= {self.height}) {{",
            "    pock_zero(out, high - low);",
            f"}} else if (column >= 0 && column <= {self.width - self.taps}"
            f" && high - low == {run}) {{",
            f"    pock_copy(out, image + at, {run});",
            "} else {",
            f"    const size_t left = column < 0 ? (size_t)-column * {channels} : 0;",
            f"    const size_t room = column < {self.width}"
            f" ? (size_t)({self.width} - column) * {channels} : 0;",
            "    const size_t first = left < low ? low : left < high ? left : high;",
            "    const size_t end = room < first ? first : room < high ? room : high;",
            "    pock_zero(out, first - low);",
            "    if (first < end)",
            "        memcpy(out + (first - low), image + (at + (ptrdiff_t)first),",
            "            (end - first) * sizeof *out);",
            "    pock_zero(out + (end - low), high - end);",
            "}",
            "out += high - low;",
        ]


def copies(vector: Vector) -> str:
    """pock_copy, for runs of constant length, and pock_zero, inlined and guarded.

    What is left of a run after whole vectors is a memcpy of few bytes, which compilers turn into
    one or two moves.
    """
    return f"""\
#ifndef POCK_COPY
#define POCK_COPY
POCK_INLINE void pock_copy(float *restrict to, const float *restrict from, size_t count)
{{
    const size_t rest = count % {max(4, vector.lanes)}, whole = count - rest;
    for (size_t i = 0; i < whole; i += {vector.lanes})
        {vector.store("to + i", vector.load("from + i"))}
    memcpy(to + whole, from + whole, rest * sizeof *to);
}}

POCK_INLINE void pock_zero(float *to, size_t count)
{{
    for (size_t i = 0; i < count; i++)
        to[i] = 0.0f;
}}
#endif

"""
