"""The most stack that each entry of a compiled program can need, from the compiler's own account.

GCC states the frame of every function and who calls whom (-fcallgraph-info=su); generated programs
have no recursion, no variable-length arrays and a call graph that is known but for one indirect
call: the schedule's, whose targets are the functions of its table. The deepest chain is therefore
a sum over a finite graph. Calls into the C library (memcpy, memset) count `EXTERNAL` bytes each.

The figure depends on the compiler, its version and flags, and not on the program alone. So it
stands in no written file: those are the same on every machine, with a compiler or without.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pock.build import find_compiler, run_compiler
from pock.program import Program, write_files
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.targets.c.program.source import compile_flags

EXTERNAL = 256
"""Bytes allowed to one call of a C library function: glibc's memcpy and memset need less."""

INDIRECT = "__indirect_call"
_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_FRAME = re.compile(r"(\d+) bytes \(([a-z,]+)\)")


@dataclass(frozen=True)
class StackUsage:
    """Stack of each entry in bytes, its callers' frames excluded, and the compiler that says so.

    chains: for each entry the functions of its deepest chain with their frames.
    """

    compiler: str
    entries: Mapping[str, int]
    chains: Mapping[str, tuple[tuple[str, int], ...]]

    @property
    def bytes(self) -> int:
        """The most that any entry needs."""
        return max(self.entries.values(), default=0)


@dataclass
class CallGraph:
    """frames: bytes by function; calls: who each function calls. Names are the compiler's."""

    frames: dict[str, int] = field(default_factory=dict[str, int])
    calls: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def deepest(self, function: str) -> tuple[tuple[str, int], ...]:
        """The chain of calls from `function` that needs the most stack.

        Raises PockError if there is recursion.
        """
        return self._deepest(function, {}, ())

    def _deepest(
        self,
        function: str,
        known: dict[str, tuple[tuple[str, int], ...]],
        above: tuple[str, ...],
    ) -> tuple[tuple[str, int], ...]:
        if function in above:
            raise PockError(f"the program calls {quote(function)} recursively: no bound on stack")
        if function not in known:
            inner = [
                self._deepest(callee, known, (*above, function))
                for callee in sorted(self.calls.get(function, ()))
            ]
            best = max(inner, key=_bytes_of, default=())
            known[function] = ((function, self.frames.get(function, EXTERNAL)), *best)
        return known[function]


def _bytes_of(chain: tuple[tuple[str, int], ...]) -> int:
    return sum(size for _, size in chain)


def stack_usage(program: Program, compiler: str | None = None) -> StackUsage:
    """Compile `program` and read what stack it needs.

    compiler: GCC 10 or later, by default the one that the program is built with. Raises PockError
    if there is none, or it keeps no account of stack (clang does not say who calls whom).
    """
    cc = find_compiler(compiler or program.compiler)
    layout = program.layout
    with tempfile.TemporaryDirectory(prefix="pock-") as folder:
        root = write_files(Path(folder), program.files)
        command = [cc, *compile_flags(layout), "-Iinclude", "-fcallgraph-info=su", "-c"]
        run_compiler([*command, f"src/{layout.name}.c", "-o", "program.o"], root)
        accounts = sorted(root.glob("*.ci"))
        if not accounts:
            raise PockError(
                Diagnostic(
                    f"{quote(cc)} keeps no account of the stack that functions need",
                    help="use GCC 10 or later",
                )
            )
        graph = read_call_graph(accounts[0].read_text(encoding="utf-8"))
    chains = {entry.name: _chain(graph, program, entry.name) for entry in layout.entries}
    sizes = {name: _bytes_of(chain) for name, chain in chains.items()}
    return StackUsage(_version(cc), sizes, chains)


def _chain(graph: CallGraph, program: Program, entry: str) -> tuple[tuple[str, int], ...]:
    """The deepest chain of one entry: its indirect calls are those of its own table."""
    names = {_plain(name): name for name in graph.frames}
    table = {names[name] for name in names if re.fullmatch(rf"{entry}_\d+", name)}
    calls = dict(graph.calls)
    calls[INDIRECT] = table
    whole = CallGraph({**graph.frames, INDIRECT: 0}, calls)
    return whole.deepest(names[f"{program.layout.name}_{entry}"])


def read_call_graph(text: str) -> CallGraph:
    """Parse GCC's .ci file. Raises PockError for a frame whose size is not known in advance."""
    graph = CallGraph()
    for name, label in _NODE.findall(text):
        frame = _FRAME.search(label)
        if frame is None:
            continue  # defined elsewhere
        if frame.group(2) not in ("static", "dynamic,bounded"):
            raise PockError(f"the stack of {quote(_plain(name))} is not known in advance")
        graph.frames[name] = int(frame.group(1))
    for source, target in _EDGE.findall(text):
        graph.calls.setdefault(source, set()).add(target)
    return graph


def _plain(name: str) -> str:
    """A function's name without the file that GCC puts before those of static ones."""
    return name.rpartition(":")[2]


def _version(cc: str) -> str:
    done = subprocess.run([cc, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip() or cc
