"""C text for f32 vectors: the prelude's `pock_vf`, or plain floats without a vector unit.

One lane means plain scalars: the same kernel text then serves machines without a vector unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from pock_ir.target import Target


@dataclass(frozen=True)
class Vector:
    """The vector type with `lanes` f32 lanes, a power of two; 1 means float."""

    lanes: int

    @property
    def type(self) -> str:
        """The C type of a value."""
        return "float" if self.lanes == 1 else "pock_vf"

    @property
    def zero(self) -> str:
        """An initialiser of all lanes with zero."""
        return "0.0f" if self.lanes == 1 else "{0}"

    def load(self, pointer: str) -> str:
        """An expression: the lanes at `pointer` (float *, any alignment)."""
        return f"*({pointer})" if self.lanes == 1 else f"pock_load({pointer})"

    def store(self, pointer: str, value: str) -> str:
        """A statement that writes all lanes to `pointer`."""
        return f"*({pointer}) = {value};" if self.lanes == 1 else f"pock_store({pointer}, {value});"

    def splat(self, scalar: str) -> str:
        """An expression: every lane is `scalar`."""
        return scalar if self.lanes == 1 else f"pock_splat({scalar})"

    def sum(self, value: str) -> str:
        """An expression: the sum of the lanes."""
        return value if self.lanes == 1 else f"pock_vsum({value})"

    def load_part(self, pointer: str, count: int) -> str:
        """The first `count` lanes (0: all) from `pointer`, zero in the others; reads no more."""
        whole = count in (0, self.lanes)
        return self.load(pointer) if whole else f"pock_load_{count}({pointer})"

    def store_part(self, pointer: str, value: str, count: int) -> str:
        """Write the first `count` lanes (0: all); touches nothing beyond."""
        whole = count in (0, self.lanes)
        return self.store(pointer, value) if whole else f"pock_store_{count}({pointer}, {value});"

    def definitions(self, counts: Iterable[int]) -> str:
        """The functions behind partial loads and stores of `counts` lanes, each guarded by the
        preprocessor, so that the texts of several kernels may all bring them."""
        needed = sorted({count for count in counts if 0 < count < self.lanes})
        return "".join(_part(self.lanes, count) for count in needed)

    def has_part(self, count: int) -> bool:
        """Whether `count` lanes are loaded and stored by one instruction."""
        return count == 0 or (count > 1 and count in (self.lanes // 2, self.lanes // 4))


def vector_of(target: Target) -> Vector:
    """The f32 vector of the target."""
    return Vector(target.vector.lanes(4))


def aligned(floats: int) -> int:
    """Rounded up to 64 bytes, as every buffer and every piece of scratch is."""
    return -(-floats // 16) * 16


def indent(lines: Iterable[str], levels: int = 1) -> list[str]:
    """C lines moved to the right by `levels`."""
    return ["    " * levels + line for line in lines]


def c_function(signature: str, body: Iterable[str]) -> str:
    """The text of a C function."""
    return "\n".join([signature, "{", *indent(body), "}", ""])


@cache
def _part(lanes: int, count: int) -> str:
    body = _shuffled(lanes, count) if Vector(lanes).has_part(count) else _copied(count)
    return f"#ifndef POCK_PART_{count}\n#define POCK_PART_{count}\n{body}#endif\n"


def _shuffled(lanes: int, count: int) -> str:
    """A half or a quarter of a vector is a narrower vector: one load or store instruction."""
    widen = ", ".join(str(min(i, count)) for i in range(lanes))
    narrow = ", ".join(str(i) for i in range(count))
    size = 4 * count
    return f"""\
typedef float pock_vf_{count} __attribute__((vector_size({size})));
typedef float pock_vf_{count}_any __attribute__((vector_size({size}), aligned(4), may_alias));

POCK_INLINE pock_vf pock_load_{count}(const float *p)
{{
    const pock_vf_{count} x = *(const pock_vf_{count}_any *)p;
    return __builtin_shufflevector(x, (pock_vf_{count}){{0}}, {widen});
}}

POCK_INLINE void pock_store_{count}(float *p, pock_vf x)
{{
    *(pock_vf_{count}_any *)p = __builtin_shufflevector(x, x, {narrow});
}}
"""


def _copied(count: int) -> str:
    return f"""\
POCK_INLINE pock_vf pock_load_{count}(const float *p)
{{
    pock_vf x = {{0}};
    memcpy(&x, p, {4 * count});
    return x;
}}

POCK_INLINE void pock_store_{count}(float *p, pock_vf x)
{{
    memcpy(p, &x, {4 * count});
}}
"""
