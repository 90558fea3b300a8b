"""Run every command block of README.md exactly as it is written, in one empty folder.

```sh blocks run in bash with `set -eu`; ```python blocks are saved under the name that their first
line states (`# train.py`) and run. Blocks that continuous integration runs by itself, and fenced
blocks without a language, are not run, and it is said why.

    python scripts/run_readme.py [FILE]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")

SKIPPED = {
    "make demo": "the demo takes minutes and is run on its own",
    "make test": "this script is part of it",
}
"""Blocks that are not run here, and why."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and its first line's number."""

    language: str
    text: str
    line: int


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks with a language, in order."""
    for match in FENCE.finditer(document):
        yield Block(match[1], match[2], document.count("\n", 0, match.start()) + 2)


def command_of(block: Block, folder: Path) -> list[str] | None:
    """The command that runs `block` in `folder`; None for a block that is skipped.

    Raises SystemExit for a block that cannot be run.
    """
    if block.text.strip() in SKIPPED:
        print(f"line {block.line}: skipped: {SKIPPED[block.text.strip()]}")
        return None
    if block.language == "sh":
        return ["bash", "-euo", "pipefail", "-c", block.text]
    name = FILE_NAME.match(block.text)
    if block.language != "python" or name is None:
        raise SystemExit(f"line {block.line}: do not know how to run a block of {block.language}")
    (folder / name[1]).write_text(block.text, encoding="utf-8")
    return [sys.executable, name[1]]


def environment() -> dict[str, str]:
    """That of this process, with the commands of its virtual environment first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path}


def run_document(document: Path) -> int:
    """Run all blocks; returns how many ran. Raises SystemExit when one fails."""
    ran = 0
    with tempfile.TemporaryDirectory(prefix="pock-readme-") as name:
        folder = Path(name)
        for block in blocks(document.read_text(encoding="utf-8")):
            command = command_of(block, folder)
            if command is None:
                continue
            begin = time.perf_counter()
            done = subprocess.run(command, cwd=folder, env=environment(), check=False)
            if done.returncode != 0:
                raise SystemExit(f"{document.name}, line {block.line}: exit {done.returncode}")
            print(f"line {block.line}: done in {time.perf_counter() - begin:.1f} s", flush=True)
            ran += 1
    return ran


def main() -> None:
    """Run README.md, or the file that the command line names."""
    document = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "README.md"
    ran = run_document(document)
    if ran == 0:
        raise SystemExit(f"{document} has no block to run")
    print(f"{ran} blocks of {document.name} ran")


if __name__ == "__main__":
    main()
