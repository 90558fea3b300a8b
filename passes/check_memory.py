"""Check that no call reads memory which something else has overwritten.

This trusts neither orders nor offsets nor lifetimes. It runs each function on paper: for every
byte it knows the number of the value that was written there last, and every read must find the
value that the program means. A call may write an operand's bytes only where the kernel allows it.

before:
    builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
    }
after:
    builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
    }
unchanged: everything; a wrong plan raises PockError.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from pock_ir.compat import linear_symbol_lookup
from pock_ir.diagnostics import DiagnosticCollector
from pock_ir.dialects import mem
from pock_ir.dialects.kern import reuses_of, updates_of
from pock_ir.location import location_of
from pock_ir.op import integer, ints, text
from pock_ir.passes.signature import argument_attributes, kind_of

UNKNOWN = -1
Span = tuple[int, int]


class Bytes:
    """One region: spans [begin, end) in order, without gaps, and the value each of them holds."""

    def __init__(self, size: int) -> None:
        self._begins, self._values, self._size = [0], [UNKNOWN], size

    def _split(self, at: int) -> int:
        """The index of the span that begins at `at`, which may be the end of the region."""
        index = bisect_right(self._begins, at) - 1
        if self._begins[index] == at:
            return index
        if at < self._size:
            self._begins.insert(index + 1, at)
            self._values.insert(index + 1, self._values[index])
        return index + 1

    def write(self, span: Span, value: int) -> None:
        if span[0] < span[1]:
            first, last = self._split(span[0]), self._split(span[1])
            self._begins[first:last], self._values[first:last] = [span[0]], [value]

    def holds(self, span: Span, value: int) -> bool:
        """Whether every byte of the span holds `value`."""
        if span[0] >= span[1]:
            return True
        first, last = self._split(span[0]), self._split(span[1])
        return all(found == value for found in self._values[first:last])


class Checker:
    """Runs one function on paper."""

    def __init__(self, function: FuncOp, module: ModuleOp, errors: DiagnosticCollector) -> None:
        self.name, self.errors = function.sym_name.data, errors
        self.function = function
        arguments = function.body.block.args
        self.memory: dict[SSAValue, Bytes] = {
            value: Bytes(mem.memory_bytes(value.type)) for value in arguments
        }
        kinds = [kind_of(entry) for entry in argument_attributes(function)]
        self.regions = dict(zip(kinds, arguments, strict=True))
        self.objects = {op.sym_name.data: op for op in mem.objects(module)}
        self.written: set[int] = set()

    def span(self, value: SSAValue) -> tuple[SSAValue, Span]:
        region, begin = mem.place_of(value)
        return region, (begin, begin + mem.memory_bytes(value.type))

    def fail(self, what: str, call: mem.CallOp | FuncOp) -> None:
        self.errors.add(f"@{self.name}: wrong memory plan: {what}", location_of(call))

    def object_span(self, name: str) -> tuple[SSAValue, Span]:
        known = self.objects[name]
        begin = integer(known.offset)
        return self.regions[text(known.region)], (begin, begin + known.bytes)

    def run(self) -> None:
        begin, end = (_numbers(self.function, key) for key in ("pock.begin", "pock.end"))
        inputs, outputs = self._caller_values(False), self._caller_values(True)
        for name, number in begin.items():
            region, span = self.object_span(name)
            self.memory[region].write(span, number)
        for value, number in inputs.items():
            self.memory[value].write((0, mem.memory_bytes(value.type)), number)
        self.written = {*begin.values(), *inputs.values()}
        for op in self.function.body.block.ops:
            if isinstance(op, mem.CallOp):
                self.call(op)
        for name, number in {**begin, **end}.items():
            region, span = self.object_span(name)
            if not self.memory[region].holds(span, number):
                self.fail(f"{name} does not hold value {number} at the end", self.function)
        for value, number in {**inputs, **outputs}.items():
            if not self.memory[value].holds((0, mem.memory_bytes(value.type)), number):
                self.fail(f"the caller's memory lacks value {number} at the end", self.function)

    def _caller_values(self, outputs: bool) -> dict[SSAValue, int]:
        """What the caller's outputs, or inputs, hold in the end."""
        entries = argument_attributes(self.function)
        return {
            value: integer(entry["pock.value"])
            for value, entry in zip(self.function.body.block.args, entries, strict=True)
            if "pock.value" in entry and (kind_of(entry) in mem.OUTPUT_KINDS) is outputs
        }

    def call(self, call: mem.CallOp) -> None:
        spans = [self.span(value) for value in call.ins]
        for (region, span), number in zip(spans, ints(call.reads), strict=True):
            if not self.memory[region].holds(span, number):
                self.fail(f"{call.callee} reads value {number}, which is overwritten", call)
        targets = [self.span(value) for value in call.outs]
        self.check_overlap(call, spans, targets)
        scratch = [] if call.scratch is None else [self.span(call.scratch)]
        for region, span in scratch:
            self.memory[region].write(span, UNKNOWN)
        for (region, span), number in zip(targets, ints(call.writes), strict=True):
            if number in self.written or region is self.regions.get(mem.CONSTANTS):
                self.fail(f"{call.callee} may not write value {number}", call)
            self.memory[region].write(span, number)
            self.written.add(number)

    def check_overlap(
        self,
        call: mem.CallOp,
        spans: list[tuple[SSAValue, Span]],
        targets: list[tuple[SSAValue, Span]],
    ) -> None:
        """What a call writes lies apart, but for operands that the kernel may overwrite."""
        inner = call.kernel.call
        scratch = [] if call.scratch is None else [self.span(call.scratch)]
        for index, target in enumerate(targets):
            allowed = {updates_of(inner)[index], reuses_of(inner)[index]}
            others = [span for i, span in enumerate(targets) if i != index] + scratch
            foreign = [s for i, s in enumerate(spans) if not (i in allowed and s == target)]
            if any(_overlap(target, other) for other in others + foreign):
                self.fail(f"{call.callee} overwrites what it still uses", call)
            place = updates_of(inner)[index]
            if place >= 0 and spans[place] != target:
                self.fail(f"{call.callee} does not update in place", call)
        if any(_overlap(scratch[0], span) for span in spans if scratch):
            self.fail(f"{call.callee} has its scratch memory over an operand", call)


def _overlap(a: tuple[SSAValue, Span], b: tuple[SSAValue, Span]) -> bool:
    return a[0] is b[0] and max(a[1][0], b[1][0]) < min(a[1][1], b[1][1])


def _numbers(function: FuncOp, key: str) -> dict[str, int]:
    entries = function.attributes.get(key)
    if not isinstance(entries, DictionaryAttr):
        return {}
    return {key: integer(value) for key, value in entries.data.items()}


def check_memory(module: ModuleOp) -> None:
    """Raise PockError that lists everything wrong with the memory of a planned module."""
    errors = DiagnosticCollector()
    with linear_symbol_lookup():
        for function in module.ops:
            if isinstance(function, FuncOp):
                Checker(function, module, errors).run()
    errors.raise_if_any()


@dataclass(frozen=True)
class CheckMemoryPass(ModulePass):
    """Runs `check_memory`."""

    name = "check-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        check_memory(op)
