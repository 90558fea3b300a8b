"""The assembly of register tiles: products in registers, nothing spilled."""

import re
import subprocess
from pathlib import Path

import pytest
from harness import text_of
from hot_cases import CLANG, call_of, f32, needs_clang

import pock_ir.targets.c  # noqa: F401  registers the targets
from pock_ir.dialects.matmul import LinearOp
from pock_ir.target import target_named

V4 = target_named("x86-64-v4")


def loops(assembly: str) -> list[str]:
    """The innermost loops: from a label to a jump back to it, without a label between."""
    return re.findall(r"^(\.L\w+):.*\n((?:(?!\.L\w+:).*\n)*?.*\bj\w+\s+\1\b)", assembly, re.M)


def products(call_shape: tuple[int, int, int], compiler: str, folder: Path) -> list[str]:
    """The loops with products, of a linear layer of (rows, inputs, outputs)."""
    m, i, o = call_shape
    call = call_of(LinearOp, [f32(m, i), f32(i, o)], {"weight_layout": "io"})
    source = folder / "kernel.c"
    run = "void run(const float *, const float *, float *, unsigned char *, int);\n"
    run += "void run(const float *x, const float *w, float *y, unsigned char *s, int p)\n"
    source.write_text(f"{text_of(call, 'linear', V4)}\n{run}{{ kernel(x, w, y, s, p); }}\n")
    command = [compiler, "-std=c11", "-O3", "-S", *V4.compile_flags, str(source), "-o", "-"]
    assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [body for _, body in loops(assembly) if "vfmadd" in body]


# Rows that the tile divides, so that there is one tile: 6x4, 9x3, 14x2.
@pytest.mark.parametrize(
    ("shape", "cells"), (((60, 99, 64), 24), ((90, 99, 48), 27), ((140, 99, 32), 28))
)
@pytest.mark.parametrize("compiler", ("gcc", pytest.param(CLANG, marks=needs_clang)))
def test_the_loop_holds_products_and_loads_only(
    shape: tuple[int, int, int], cells: int, compiler: str, tmp_path: Path
) -> None:
    found = products(shape, compiler, tmp_path)
    assert found
    for body in found:
        count = len(re.findall(r"vfmadd\w+ps\b.*%zmm", body))
        assert count and count % cells == 0, body  # unrolled or not
        assert not re.search(r"%rsp|%rbp\)", body), body
        assert "vmulps" not in body and "vaddps" not in body
