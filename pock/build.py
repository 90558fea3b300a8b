"""Compiling a generated program with the host's C compiler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pock_ir.diagnostics import Diagnostic, PockError, quote

COMPILERS = ("cc", "gcc", "clang")
OUTPUT_LINES = 12
"""The most lines of a compiler's complaint that an error repeats."""


def find_compiler(name: str | None = None) -> str:
    """The path of the C compiler `name`, or of the first of cc, gcc, clang.

    Raises PockError if there is none.
    """
    for candidate in (name,) if name else COMPILERS:
        path = shutil.which(candidate)
        if path is not None:
            return path
    wanted = quote(name) if name else "cc, gcc or clang"
    raise PockError(
        Diagnostic(
            f"no C compiler was found (looked for {wanted})",
            help="install one (on Debian: apt-get install gcc), or only write the sources",
        )
    )


def run_compiler(command: Sequence[str], directory: Path) -> None:
    """Run one compiler command in `directory`. Raises PockError with its first complaints."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()[:OUTPUT_LINES]
        detail = "; ".join(line.strip() for line in lines)
        raise PockError(Diagnostic(f"the C compiler failed: {detail}", help=" ".join(command)))


def build_library(
    sources: Sequence[Path],
    include: Path,
    output: Path,
    flags: Sequence[str],
    compiler: str | None = None,
) -> Path:
    """Compile `sources` into the shared library `output`, one process per file.

    Raises PockError if there is no compiler or it fails.
    """
    cc = find_compiler(compiler)
    objects = [output.with_name(f"{output.stem}-{source.stem}.o") for source in sources]

    def compile_one(pair: tuple[Path, Path]) -> None:
        source, object = pair
        command = [cc, *flags, "-fPIC", f"-I{include}", "-c", str(source), "-o", str(object)]
        run_compiler(command, output.parent)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(compile_one, zip(sources, objects, strict=True)))
    link = [cc, "-shared", "-pthread", *map(str, objects), "-o", str(output), "-lm"]
    run_compiler(link, output.parent)
    return output
