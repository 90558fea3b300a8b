"""`pock-opt --bisect-script`: find the pass after which a command first fails."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.parse import print_module
from pock_ir.pipeline import Limits, Pipeline
from pock_ir.registry import pass_text


def bisect(context: Context, module: ModuleOp, pipeline: Pipeline, command: str) -> str:
    """A report that names the first pass after which `command FILE` fails.

    The command is started without a shell. Raises PockError if it fails before the first pass,
    does not fail after the last, or cannot be started.
    """
    words = _words(command)
    passes = [(stage.name, action) for stage in pipeline.stages for action in stage.passes]

    def fails_after(count: int) -> bool:
        copy = module.clone()
        pipeline.run(context, copy, (), Limits(None, count))
        return _fails(words, print_module(copy, locations=True))

    if fails_after(0):
        raise PockError(f"{quote(command)} fails on the input, before any pass")
    if not fails_after(len(passes)):
        raise PockError(f"{quote(command)} does not fail after all {len(passes)} passes")
    good, bad = 0, len(passes)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if fails_after(middle) else (middle, bad)
    stage, action = passes[good]
    before = pass_text(item for _, item in passes[:good]) or "(none)"
    where = f"number {bad} of {len(passes)}, stage {stage}"
    return f"first failing pass: {pass_text([action])} ({where})\ngood after: {before}\n"


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PockError(f"{quote(command)} is not a command: {error}") from error
    if not words:
        raise PockError(Diagnostic("the command is empty", help="--bisect-script './check.sh'"))
    return words


def _fails(words: list[str], text: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="pock-bisect-") as folder:
        file = Path(folder) / "module.mlir"
        file.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run([*words, str(file)], capture_output=True, check=False)
        except OSError as error:
            raise PockError(f"cannot start {quote(words[0])}: {error.strerror}") from error
    return done.returncode != 0
