"""Every generated C file: strict warnings, sanitizers, threads, and a C compiler alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from painted_run import SANITIZE, STRICT, build, run, write_program
from small_models import FAMILIES, arrays, program

from pock.program import write_files
from pock_ir.targets.c.program.source import compile_flags

COMPILERS = [name for name in ("gcc", "clang", "clang-19") if shutil.which(name)]
CLANG = next((name for name in ("clang-19", "clang") if shutil.which(name)), None)


def target_of(family: str) -> str:
    """Targets take turns, so that each is seen with several families."""
    order = ("host", "c", "host:threads=2")
    return order[list(FAMILIES).index(family) % len(order)]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_strict_warnings(family: str, compiler: str, tmp_path: Path) -> None:
    """-O1, because some warnings need the optimizer's knowledge."""
    compiled = program(family, "momentum", target=target_of(family))
    root = write_files(tmp_path, compiled.files)
    machine = compiled.layout.target.compile_flags
    for source in sorted(root.rglob("*.c")):
        command = [compiler, *STRICT, "-O1", *machine, "-Iinclude", "-c", str(source)]
        done = subprocess.run(
            [*command, "-o", "out.o"], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:3000]
        assert not done.stderr, done.stderr[:3000]


@pytest.mark.parametrize("family", FAMILIES)
def test_sanitizers(family: str, tmp_path: Path) -> None:
    """Two steps, eval and infer, without a report of ASan or UBSan; compilers take turns."""
    target = target_of(family)
    compiled = program(family, "momentum", target=target)
    root = write_program(compiled, tmp_path)
    number = list(FAMILIES).index(family)
    compiler = COMPILERS[number % len(COMPILERS)]
    executable = build(compiled, root, compiler, SANITIZE, optimize="-O0")
    found = run(compiled, executable, arrays(family))
    assert len(found.losses) >= 2


@pytest.mark.skipif(CLANG is None, reason="no clang")
def test_threads_do_not_race(tmp_path: Path) -> None:
    assert CLANG is not None
    compiled = program("mobilenet", "momentum", target="host:threads=2")
    root = write_program(compiled, tmp_path)
    executable = build(compiled, root, CLANG, ("-fsanitize=thread", "-g"), optimize="-O1")
    run(compiled, executable, arrays("mobilenet"))


@pytest.mark.parametrize("target", ["c", "host:threads=2"])
def test_a_compiler_is_all_it_takes(target: str, tmp_path: Path) -> None:
    """The example trains from .npy files: its loss falls, and its files are those of Python."""
    compiled = program("mlp", "momentum", target=target)
    root = write_files(tmp_path, compiled.files)
    sources = sorted(str(path) for path in (root / "src").glob("*.c"))
    flags = [*compile_flags(compiled.layout), "-Iinclude", "-pthread"]
    command = ["cc", *flags, "examples/host/main.c", *sources, "-o", "train", "-lm"]
    subprocess.run(command, cwd=root, check=True)
    given = [np.asarray(array) for array in arrays("mlp")]
    names = [port["name"] for port in _inputs(compiled)]
    for name, array in zip(names, given, strict=True):
        np.save(root / f"{name}.npy", array)
    files = [f"{name}.npy" for name in names]
    command = ["./train", "--train", *files, "--steps", "3", "--save", "after.bin"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    session = compiled.new_session()
    for _ in range(3):
        session.run("train_step", given)
    assert (root / "after.bin").read_bytes() == session.save()


def _inputs(compiled) -> list[dict[str, str]]:
    import json

    entries = json.loads(compiled.files["pock.json"])["entries"]
    ports = next(entry["ports"] for entry in entries if entry["name"] == "train_step")
    return [port for port in ports if port["kind"] in ("input", "target")]


def test_make_builds_the_example(tmp_path: Path) -> None:
    root = write_files(tmp_path, program("mlp", "momentum", target="c").files)
    subprocess.run(["make", "-s"], cwd=root, check=True)
    done = subprocess.run(["./net_train", "--help"], cwd=root, capture_output=True, check=False)
    assert done.returncode == 0 and b".npy" in done.stdout
