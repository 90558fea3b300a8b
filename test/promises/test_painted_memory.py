"""Memory is what the header says: no heap, the arena and nothing but it, a bounded stack."""

from __future__ import annotations

import subprocess

import pytest
from painted_run import Outcome, build, run, write_program
from small_models import arrays, program

from pock.stack import EXTERNAL, CallGraph, stack_usage
from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.source import compile_flags

CASES = [("mlp", "host"), ("dropout", "host"), ("bert", "host:threads=2"), ("mobilenet", "c")]
STACK_SLACK = 512 + EXTERNAL
"""Bytes by which the stated stack may exceed what a run shows: the worst chain need not be the
one that runs (a tile for a size that does not occur), and the C library may need less."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def painted(request, tmp_path_factory) -> tuple[tuple[str, str], Outcome, Outcome]:
    family, target = request.param
    compiled = program(family, "momentum", target=target)
    root = write_program(compiled, tmp_path_factory.mktemp("painted"))
    executable = build(compiled, root)
    runs = [run(compiled, executable, arrays(family), paint=paint) for paint in (0xA5, 0x5A)]
    return request.param, runs[0], runs[1]


def test_no_allocation(painted) -> None:
    """The harness counts malloc and its like, and also checks every entry on its own."""
    assert painted[1].allocations == 0


def test_the_arena_is_what_the_header_says(painted) -> None:
    """The last byte of each entry's arena is written, up to the padding of its last buffer."""
    (family, target), first, second = painted
    compiled = program(family, "momentum", target=target)
    for function in compiled.report().memory.functions:
        used = max(first.arena[function.name], second.arena[function.name])
        assert function.arena - 64 < used <= function.arena
    largest = max(function.arena for function in compiled.report().memory.functions)
    assert compiled.layout.arena_bytes - 64 < largest <= compiled.layout.arena_bytes


def test_nothing_is_read_before_it_is_written(painted) -> None:
    """Whatever the arena holds at first, results are the same."""
    _, first, second = painted
    assert first.losses == second.losses
    assert first.image == second.image


def test_stack(painted) -> None:
    (family, target), first, second = painted
    stated = stack_usage(program(family, "momentum", target=target), "gcc")
    assert stated.compiler.startswith("gcc")
    for entry, limit in stated.entries.items():
        used = max(first.stack[entry], second.stack[entry])
        assert used <= limit <= used + STACK_SLACK, (entry, stated.chains[entry])


def test_the_object_needs_nothing_from_the_heap(tmp_path) -> None:
    compiled = program("dropout", "momentum")
    root = write_program(compiled, tmp_path)
    flags = compile_flags(compiled.layout)
    command = ["gcc", *flags, "-Iinclude", "-c", "src/net.c", "-o", "net.o"]
    subprocess.run(command, cwd=root, check=True)
    listed = subprocess.run(
        ["nm", "-u", "net.o"], cwd=root, check=True, capture_output=True, text=True
    )
    symbols = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert symbols <= {"memcpy", "memset", "memmove", "memcmp"}, symbols


def test_no_writable_globals(tmp_path) -> None:
    """Nothing is kept between calls but in the caller's memory."""
    compiled = program("dropout", "momentum")
    root = write_program(compiled, tmp_path)
    flags = compile_flags(compiled.layout)
    # In position-independent code a constant table of addresses is data that the loader writes.
    command = ["gcc", *flags, "-fno-pie", "-Iinclude", "-c", "src/net.c", "-o", "net.o"]
    subprocess.run(command, cwd=root, check=True)
    listed = subprocess.run(["nm", "net.o"], cwd=root, check=True, capture_output=True, text=True)
    kinds = {line.split()[-1]: line.split()[-2] for line in listed.stdout.splitlines()}
    assert not [name for name, kind in kinds.items() if kind in "bBdDcC"]


def test_recursion_has_no_bound() -> None:
    graph = CallGraph({"a": 8, "b": 16}, {"a": {"b"}, "b": {"a"}})
    with pytest.raises(PockError, match="recursively"):
        graph.deepest("a")


def test_the_deepest_chain_counts() -> None:
    graph = CallGraph(
        {"a": 8, "b": 16, "c": 100, "d": 1}, {"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}
    )
    assert graph.deepest("a") == (("a", 8), ("c", 100), ("d", 1))
