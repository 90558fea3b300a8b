"""Virtual environments that hold pock's wheel and chosen extras, for checks from a user's side."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

REPOSITORY = Path(__file__).resolve().parent.parent
CONSTRAINTS = REPOSITORY / "constraints.txt"

FRAMEWORK_EXTRAS = ("torch", "jax", "jax-models", "keras", "tensorflow")
"""The extras of pyproject.toml that bring a framework, or what models of one are written in."""

FIND = (
    "import sys; from importlib.util import find_spec; "
    "print(*(name for name in sys.argv[1:] if find_spec(name) is not None))"
)


def run(
    command: Sequence[str | Path],
    folder: Path,
    log: TextIO | None = None,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run a command in `folder`, without this checkout's paths. Raises SystemExit if it fails.

    log: where its output goes instead of the terminal. variables: added to the environment.
    """
    print("+", *command, file=log, flush=True)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=without_checkout() | dict(variables or {}),
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"exit status {done.returncode}: {' '.join(map(str, command))}")


def without_checkout() -> dict[str, str]:
    """This process's environment variables, without those that lead Python into a checkout."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def build(folder: Path) -> tuple[Path, Path]:
    """The source archive, and the wheel built from it, in `folder`."""
    run([sys.executable, "-m", "build", "-q", "--outdir", folder, REPOSITORY], folder)
    (archive,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return archive, wheel


def make_environment(folder: Path, log: TextIO | None = None) -> Path:
    """An empty virtual environment at `folder`; returns its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent, log)
    return folder / "bin" / "python"


def install(python: Path, wheel: Path, extras: Sequence[str] = (), log: TextIO | None = None):
    """Install `wheel` with `extras` into the environment of `python`, at the tested versions.

    Nothing is compiled ahead: most modules of a framework are never imported.
    """
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    options = ["-q", "--no-compile", "-c", CONSTRAINTS]
    run([*pip, "install", *options, wanted], python.parent, log)


def packages_of(extras: Iterable[str]) -> set[str]:
    """The names by which the packages of extras in pyproject.toml are imported."""
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    optional = document["project"]["optional-dependencies"]
    names = (re.match(r"[\w-]+", line) for extra in extras for line in optional[extra])
    # tensorflow-cpu, TensorFlow's smaller build, is imported as tensorflow.
    return {name.group().removesuffix("-cpu") for name in names if name is not None}


def check_frameworks(python: Path, extras: Sequence[str]) -> None:
    """Raise SystemExit unless `python` can import the frameworks of `extras`, and no others."""
    every, wanted = packages_of(FRAMEWORK_EXTRAS), packages_of(extras)
    done = subprocess.run(
        [python, "-I", "-c", FIND, *sorted(every)],
        env=without_checkout(),
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(done.stdout.split())
    for names, problem in ((found - wanted, "can"), (wanted & every - found, "cannot")):
        if names:
            listed = ", ".join(sorted(names))
            raise SystemExit(f"with extras [{','.join(extras)}] one {problem} import {listed}")
