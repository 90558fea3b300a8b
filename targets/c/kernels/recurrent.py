"""Cells of recurrent layers: a row of gates and states at a time, a register of cells at a time."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from xdsl.ir import Operation

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.recurrent import GruCellGradOp, GruCellOp, LstmCellGradOp, LstmCellOp
from pock_ir.op import PockOp
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import PlainKernel
from pock_ir.targets.c.kernels.vector import Vector
from pock_ir.types import shape_of

# In the texts, a0[k] is gate k of operand 0 for the cells at j; v is a register or a float.
_LSTM = """\
v i = SIGMOID(a0[0]), f = SIGMOID(a0[1]), g = TANH(a0[2]), o = SIGMOID(a0[3]);
v c = f * a1[0] + i * g;
r0[0] = o * TANH(c);
r1[0] = c;
"""
_LSTM_GRAD = """\
v i = SIGMOID(a0[0]), f = SIGMOID(a0[1]), g = TANH(a0[2]), o = SIGMOID(a0[3]);
v t = TANH(a2[0]), dh = a3[0];
v s = a4[0] + dh * o * (1.0f - t * t);
r1[0] = s * f;
r0[1] = s * a1[0] * f * (1.0f - f);
r0[0] = s * g * i * (1.0f - i);
r0[2] = s * i * (1.0f - g * g);
r0[3] = dh * t * o * (1.0f - o);
"""
_GRU = """\
v r = SIGMOID(a0[0] + a1[0]), z = SIGMOID(a0[1] + a1[1]);
v n = TANH(a0[2] + r * a1[2]);
r0[0] = n + z * (a2[0] - n);
"""
_GRU_GRAD = """\
v r = SIGMOID(a0[0] + a1[0]), z = SIGMOID(a0[1] + a1[1]), hn = a1[2];
v n = TANH(a0[2] + r * hn), dy = a3[0];
v dz = dy * (a2[0] - n) * z * (1.0f - z);
v dn = dy * (1.0f - z) * (1.0f - n * n);
v dr = dn * hn * r * (1.0f - r);
r0[0] = dr;
r0[1] = dz;
r0[2] = dn;
r1[0] = dr;
r1[1] = dz;
r1[2] = dn * r;
r2[0] = dy * z;
"""
_TEXTS: dict[type[PockOp], str] = {
    GruCellGradOp: _GRU_GRAD,
    GruCellOp: _GRU,
    LstmCellGradOp: _LSTM_GRAD,
    LstmCellOp: _LSTM,
}


class CellKernel(PlainKernel):
    """One loop over the cells of each row."""

    name = "recurrent_cell"
    OPS: ClassVar[tuple[type[PockOp], ...]] = tuple(_TEXTS)
    INSTRUCTIONS: ClassVar[float] = 8.0

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        return _sigmoids(target.vector.lanes(4) > 1) + super().emit(call, target, symbol)

    def _cells(self, op: PockOp) -> int:
        return shape_of(op.results[-1])[-1]

    def units(self, op: PockOp, target: Target) -> int:
        return prod(shape_of(op.results[-1])[:-1])

    def width(self, op: PockOp, target: Target) -> int:
        lanes = target.vector.lanes(4)
        return lanes if self._cells(op) >= lanes else 1

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        cells, lanes = self._cells(op), self.width(op, target)
        whole = cells // lanes * lanes
        lines = [self.bounds(call, target), "    for (size_t u = first; u < last; u++) {"]
        lines += self._loop(op, 0, whole, Vector(lanes))
        if whole < cells:
            lines += self._loop(op, whole, cells, Vector(1))
        return "\n".join([*lines, "    }"])

    def _loop(self, op: PockOp, begin: int, end: int, vector: Vector) -> list[str]:
        """The text of the op for cells begin..end-1."""
        head = f"for (size_t j = {begin}; j < {end}; j += {vector.lanes}) {{"
        body = [f"    {line}" for line in _statements(op, vector)]
        return [f"        {line}" for line in (head, *body, "}")]


def _statements(op: PockOp, vector: Vector) -> list[str]:
    prefix = "pock_v" if vector.lanes > 1 else "pock_"
    text = _TEXTS[type(op)]
    cells = shape_of(op.results[-1])[-1]
    for index, value in enumerate(op.operands):
        row = shape_of(value)[-1]
        for gate in range(row // cells):
            place = f"a{index} + u * {row} + {gate * cells} + j"
            text = text.replace(f"a{index}[{gate}]", vector.load(place))
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("v "):
            lines.append(f"const {vector.type} {line[2:]}")
            continue
        target, value = line.split(" = ", 1)
        name, gate = target[:-1].split("[")
        row = shape_of(op.results[int(name[1:])])[-1]
        place = f"{name} + u * {row} + {int(gate) * cells} + j"
        lines.append(vector.store(place, value.removesuffix(";")))
    return [_named(line, prefix) for line in lines]


def _named(line: str, prefix: str) -> str:
    return line.replace("SIGMOID(", f"{prefix}sigmoid(").replace("TANH(", f"{prefix}tanh(")


def _sigmoids(vector: bool) -> str:
    """pock_sigmoid, and pock_vsigmoid where there are registers, guarded: once for each file."""
    kinds = [("float", "pock_"), *([("pock_vf", "pock_v")] if vector else [])]
    functions = "\n".join(
        f"POCK_INLINE {type} {prefix}sigmoid({type} x)\n"
        f"{{\n    return 1.0f / (1.0f + {prefix}exp(-x));\n}}\n"
        for type, prefix in kinds
    )
    return f"#ifndef POCK_SIGMOID\n#define POCK_SIGMOID\n{functions}#endif\n\n"
