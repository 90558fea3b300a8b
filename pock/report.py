"""What a program needs and does, to the byte: the data of `pock report`.

Every figure says what it is: arena, state and constants are what the header prints and what a
painted run touches; bounds are what no plan (no order) can beat.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from pock.pictures import memory_svg
from pock_ir.passes.memory_report import (
    FunctionMemory,
    MemoryReport,
    memory_report,
    minimalloc_csv,
)
from pock_ir.passes.savings import Savings
from pock_ir.pipeline import Timing
from pock_ir.targets.c.program.files import json_bytes
from pock_ir.targets.c.program.layout import ProgramLayout

REPORT_VERSION = 1


@dataclass(frozen=True)
class KernelRow:
    """How often one kernel of the target is called in the training step."""

    kernel: str
    calls: int


@dataclass(frozen=True)
class Report:
    """The facts of one program.

    trained_values, values: elements of trained parameters and of all parameters.
    optimizer_bytes: the part of the state that is optimizer state. savings: the training step
    under the scheme beside the one that trains everything; None for a program without training.
    seconds: of compilation, by stage; not part of the written files.
    """

    name: str
    target: str
    threads: int
    memory: MemoryReport
    trained_values: int
    values: int
    optimizer_bytes: int
    kernels: tuple[KernelRow, ...]
    distinct_kernels: int
    savings: Savings | None
    seconds: dict[str, float]

    @property
    def ram(self) -> int:
        """Bytes of RAM: arena and state."""
        return self.memory.arena + self.memory.state

    def function(self, name: str = "train_step") -> FunctionMemory:
        """The memory of one entry. Raises KeyError if the program has none so named."""
        for function in self.memory.functions:
            if function.name == name:
                return function
        raise KeyError(name)

    def largest_at_peak(self, count: int) -> list[str]:
        """The largest buffers at the training step's peak, as texts."""
        step = self.function()
        alive = [row for row in step.buffers if row.lower <= step.peak < row.upper]
        alive.sort(key=lambda row: (-row.size, row.id))
        return [f"{r.size} bytes of {r.content} ({r.location})" for r in alive[:count]]

    def to_json(self) -> dict[str, Any]:
        """All facts but the compilation times, which differ from run to run."""
        functions = [_function_json(function) for function in self.memory.functions]
        return {
            "schema": REPORT_VERSION,
            "name": self.name,
            "target": self.target,
            "threads": self.threads,
            "arena_bytes": self.memory.arena,
            "state_bytes": self.memory.state,
            "constant_bytes": self.memory.constants,
            "optimizer_bytes": self.optimizer_bytes,
            "trained_values": self.trained_values,
            "values": self.values,
            "kernels": [asdict(row) for row in self.kernels],
            "distinct_kernels": self.distinct_kernels,
            "savings": None if self.savings is None else asdict(self.savings),
            "functions": functions,
        }

    def files(self) -> dict[str, bytes]:
        """The files of the report: for programs (json, csv) and for people (svg)."""
        step = self.memory.functions[0] if self.memory.functions else None
        files = {"memory.json": json_bytes(self.to_json())}
        if step is not None:
            files["memory.csv"] = minimalloc_csv(step).encode()
            files["memory.svg"] = memory_svg(step, f"{self.name}: {step.name}").encode()
        return files


def _function_json(function: FunctionMemory) -> dict[str, Any]:
    total = [sum(column) for column in zip(*function.alive.values(), strict=True)]
    at_peak = {name: column[function.peak] for name, column in function.alive.items() if column}
    return {
        "name": function.name,
        "arena_bytes": function.arena,
        "plan_lower_bound_bytes": function.bound,
        "order_lower_bound_bytes": function.order_bound,
        "calls": function.calls,
        "peak_call": function.peak,
        "alive_bytes": total,
        "alive_at_peak_bytes": at_peak,
        "caller_bytes": {row.name or row.kind: row.bytes for row in function.caller},
    }


def make_report(
    module: ModuleOp, layout: ProgramLayout, savings: Savings | None, timing: Timing
) -> Report:
    """Collect the facts of a planned module."""
    stored = [item for item in layout.objects if item.kind == "parameter"]
    state = layout.region("state")
    seconds: dict[str, float] = {}
    for stage, _, spent, _ in timing.rows:
        seconds[stage] = seconds.get(stage, 0.0) + spent
    return Report(
        name=layout.name,
        target=layout.target.name,
        threads=layout.target.threads,
        memory=memory_report(module),
        trained_values=sum(o.spec.values for o in stored if o.region == "state"),
        values=sum(o.spec.values for o in stored),
        optimizer_bytes=sum(o.spec.bytes for o in state if o.kind == "state"),
        kernels=_kernel_rows(layout),
        distinct_kernels=len(layout.kernels),
        savings=savings,
        seconds=seconds,
    )


def _kernel_rows(layout: ProgramLayout) -> tuple[KernelRow, ...]:
    entry = layout.entry("train_step")
    counts: dict[str, int] = {}
    for call in entry.calls if entry else ():
        name = call.meaning.rpartition(" as ")[2]
        counts[name] = counts.get(name, 0) + 1
    return tuple(KernelRow(name, counts[name]) for name in sorted(counts))
