"""What the memory of a planned module holds: the data of reports and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import DictionaryAttr, ModuleOp
from xdsl.dialects.func import FuncOp

from pock_ir.dialects import mem
from pock_ir.location import location_of
from pock_ir.op import integer, text
from pock_ir.passes.pack import Interval, live_bound
from pock_ir.passes.signature import argument_attributes, kind_of, name_of


@dataclass(frozen=True)
class BufferRow:
    """One buffer of the arena, as in MiniMalloc's files: alive at calls lower, ..., upper - 1.

    size, offset: bytes. content: one of `mem.CLASSES`. location: the source of the call that
    writes it first.
    """

    id: int
    lower: int
    upper: int
    size: int
    offset: int
    content: str
    location: str | None


@dataclass(frozen=True)
class CallerRow:
    """One input or output that the caller owns."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class FunctionMemory:
    """The arena during one function.

    arena: bytes up to the end of the highest buffer; bound: the most that is alive at once, which
    no plan can beat in this order; order_bound: what no order can beat, or None if the module was
    not scheduled. peak: the number of the call where the most is alive; calls: how many there
    are. alive: bytes alive at each call, by content.
    """

    name: str
    arena: int
    bound: int
    order_bound: int | None
    peak: int
    calls: int
    buffers: tuple[BufferRow, ...]
    caller: tuple[CallerRow, ...]
    alive: dict[str, list[int]]


@dataclass(frozen=True)
class MemoryReport:
    """All memory of a module, in bytes; `arena` is that of the function that needs most."""

    arena: int
    state: int
    constants: int
    functions: tuple[FunctionMemory, ...]


def memory_report(module: ModuleOp) -> MemoryReport:
    """Read the memory of a module after `plan-memory`."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    sizes: dict[str, int] = dict.fromkeys(mem.REGIONS, 0)
    for function in functions:
        for value, entry in zip(function.args, argument_attributes(function), strict=True):
            if kind_of(entry) in sizes:
                sizes[kind_of(entry)] = mem.memory_bytes(value.type)
    rows = tuple(_function_memory(function, module) for function in functions)
    return MemoryReport(sizes[mem.ARENA], sizes[mem.STATE], sizes[mem.CONSTANTS], rows)


def _function_memory(function: FuncOp, module: ModuleOp) -> FunctionMemory:
    buffers = buffer_rows(function)
    calls = sum(isinstance(op, mem.CallOp) for op in function.body.block.ops)
    alive = {content: [0] * calls for content in mem.CLASSES}
    for row in buffers:
        for time in range(row.lower, row.upper):
            alive[row.content][time] += row.size
    total = [sum(column) for column in zip(*alive.values(), strict=True)]
    return FunctionMemory(
        name=function.sym_name.data,
        arena=max((row.offset + row.size for row in buffers), default=0),
        bound=live_bound([Interval(row.lower, row.upper, row.size) for row in buffers]),
        order_bound=_order_bound(module, function.sym_name.data),
        peak=total.index(max(total)) if total else 0,
        calls=calls,
        buffers=tuple(buffers),
        caller=tuple(_caller_rows(function)),
        alive=alive,
    )


def buffer_rows(function: FuncOp) -> list[BufferRow]:
    """The buffers that the calls of a function use, by number."""
    rows: dict[int, BufferRow] = {}
    calls = [op for op in function.body.block.ops if isinstance(op, mem.CallOp)]
    for time, call in enumerate(calls):
        for operand in call.operands:
            view = operand.owner
            if not isinstance(view, mem.ViewOp) or integer(view.buffer) < 0:
                continue
            number, size = integer(view.buffer), mem.memory_bytes(view.type)
            known = rows.get(number)
            rows[number] = BufferRow(
                id=number,
                lower=known.lower if known else time,
                upper=time + 1,
                size=max(size, known.size if known else 0),
                offset=mem.place_of(operand)[1],
                content=text(view.content),
                location=known.location if known else location_of(call),
            )
    return [rows[number] for number in sorted(rows)]


def _caller_rows(function: FuncOp) -> list[CallerRow]:
    pairs = zip(function.args, argument_attributes(function), strict=True)
    return [
        CallerRow(name_of(entry), kind_of(entry), mem.memory_bytes(value.type))
        for value, entry in pairs
        if kind_of(entry) not in mem.REGIONS
    ]


def _order_bound(module: ModuleOp, name: str) -> int | None:
    table = module.attributes.get("pock.peak")
    row = table.data.get(name) if isinstance(table, DictionaryAttr) else None
    return integer(row.data["bound"]) if isinstance(row, DictionaryAttr) else None


def minimalloc_csv(function: FunctionMemory) -> str:
    """The buffers in MiniMalloc's format, with half-open lifetimes, for pictures and solvers."""
    lines = ["id,lower,upper,size,offset"]
    lines += [f"{r.id},{r.lower},{r.upper},{r.size},{r.offset}" for r in function.buffers]
    return "\n".join(lines) + "\n"
