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
        per_image = self.rows * self.columns
        body = [
            "for (size_t r = r0; r < r1; r++) {",
            f"    const size_t n = r / {per_image}, t = r / {self.columns} % {self.rows};",
            f"    const size_t u = r % {self.columns};",
            f"    const float *const image = from + n * {self.height * self.width * self.pixel};",
            f"    float *out = to + (r - r0) * {width};",
            f"    for (size_t j = c0 / {self.run}; j * {self.run} < c1; j++) {{",
            *indent(self._run(name), 2),
            "    }",
            "}",
        ]
        return copies(vector) + tables + c_function(signature, body)

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
            f"const ptrdiff_t y = (ptrdiff_t)t * {sy} + {name}_y[j];",
            f"const ptrdiff_t x = (ptrdiff_t)u * {sx} + {name}_x[j];",
            f"const ptrdiff_t at = (y * {self.width} + x) * {self.pixel};",
            f"if (y < 0 || y >= {self.height}) {{",
            "    pock_zero(out, high - low);",
            f"}} else if (x >= 0 && x + {self.taps} <= {self.width} && high - low == {run}) {{",
            f"    pock_copy(out, image + at, {run});",
            "} else {",
            f"    const size_t left = x < 0 ? (size_t)-x * {channels} : 0;",
            f"    const size_t room = x < {self.width} ? (size_t)({self.width} - x) * {channels}"
            " : 0;",
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
    """pock_copy and pock_zero for short runs of floats, inlined so that a constant length leaves
    straight-line code, guarded."""
    return f"""\
#ifndef POCK_COPY
#define POCK_COPY
POCK_INLINE void pock_copy(float *restrict to, const float *restrict from, size_t count)
{{
    const size_t whole = count - count % {vector.lanes};
    for (size_t i = 0; i < whole; i += {vector.lanes})
        {vector.store("to + i", vector.load("from + i"))}
    for (size_t i = whole; i < count; i++)
        to[i] = from[i];
}}

POCK_INLINE void pock_zero(float *to, size_t count)
{{
    for (size_t i = 0; i < count; i++)
        to[i] = 0.0f;
}}
#endif

"""
