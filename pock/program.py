"""A compiled training program: its files, its reports, and a way to run it here."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pock.build import build_library
from pock.session import Session
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.targets.c.program import blob
from pock_ir.targets.c.program.files import source_paths
from pock_ir.targets.c.program.layout import ProgramLayout
from pock_ir.targets.c.program.source import compile_flags
from pock_ir.types import Array

if TYPE_CHECKING:
    from pock.report import Report
    from pock.verify import Verification


@dataclass
class Program:
    """What `pock.compile` returns.

    layout: memory and entry points; files: every generated file by relative path; details and
    verifier: the report, and the comparison with the source framework; both are None for a
    program that was read from a folder.
    The C is compiled when it is first run, in a temporary folder that goes with this object.
    """

    layout: ProgramLayout
    files: Mapping[str, bytes]
    details: Report | None
    verifier: Callable[[int], Verification] | None = None
    compiler: str | None = None
    _session: Session | None = field(default=None, repr=False)
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def report(self) -> Report:
        """Memory to the byte, kernels, and what the update scheme saves.

        Raises PockError if the program was read from a folder, where memory.json holds it.
        """
        if self.details is None:
            raise PockError(
                Diagnostic(
                    "this program was read from a folder: its report is the file memory.json",
                    help="print it with: pock report DIR",
                )
            )
        return self.details

    def verify(self, steps: int = 3) -> Verification:
        """Compare loss, every gradient and every updated tensor with the source framework.

        Raises PockError if the program was read from a folder, without its model.
        """
        if self.verifier is None:
            raise PockError(
                Diagnostic(
                    "this program was read from a folder: its model is not known",
                    help="compile it again, or give the job: pock verify DIR --job FILE.py:NAME",
                )
            )
        return self.verifier(steps)

    def write(self, directory: str | os.PathLike[str]) -> Path:
        """Write all files under `directory`, which is created; existing files are replaced.

        Raises PockError if that is not possible; nothing is left half-written: every file is
        complete under a temporary name before the first is renamed.
        """
        return write_files(Path(directory), self.files)

    @property
    def session(self) -> Session:
        """The running instance; compiles the C on first use."""
        if self._session is None:
            self._session = self.new_session()
        return self._session

    def new_session(self) -> Session:
        """Another instance, with its own memory and the initial state."""
        name = self.layout.name
        headers = [self.files[path].decode() for path in _headers(self.layout)]
        constants, state = self.files[f"{name}.constants.bin"], self.files[f"{name}.state.bin"]
        return Session(self.layout, self._library(), headers, constants, state)

    def with_files(self, changed: Mapping[str, bytes]) -> Program:
        """The same program with other contents of some files."""
        return Program(self.layout, {**self.files, **changed}, self.details, compiler=self.compiler)

    def _library(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="pock-")
            root = write_files(Path(self._folder.name), self._sources())
            paths = [root / path for path in source_paths(self.layout)]
            flags = compile_flags(self.layout)
            build_library(paths, root / "include", root / "program.so", flags, self.compiler)
        return Path(self._folder.name) / "program.so"

    def _sources(self) -> dict[str, bytes]:
        return {p: data for p, data in self.files.items() if p.startswith(("include/", "src/"))}

    def step(self, *arrays: Any) -> float:
        """One training step on inputs and targets, in order; returns the loss."""
        loss = self.session.run("train_step", arrays).loss
        if loss is None:
            raise PockError("the training step has no loss")
        return loss

    def eval(self, *arrays: Any) -> tuple[float, dict[str, Array]]:
        """Loss and outputs (by name) in evaluation mode, on inputs and targets in order."""
        results = self.session.run("eval", arrays)
        if results.loss is None:
            raise PockError("the evaluation has no loss")
        return results.loss, results.arrays

    def infer(self, *arrays: Any) -> dict[str, Array]:
        """Outputs by name, in evaluation mode, on inputs in order."""
        return self.session.run("infer", arrays).arrays

    @property
    def learning_rate(self) -> float:
        return self.session.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.session.learning_rate = rate

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the training state: parameters, optimizer, statistics, step, rate and seed."""
        write_file(Path(path), self.session.save())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Continue from a saved state, bit for bit. Raises PockError if it does not fit."""
        image = read_limited(Path(path), blob.HEADER_BYTES + self.layout.state_bytes)
        self.session.load(image)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write trained parameters and statistics as .safetensors, in the framework's layout."""
        write_file(Path(path), self.session.export())


def _headers(layout: ProgramLayout) -> list[str]:
    headers = [f"include/{layout.name}.h"]
    return headers if layout.target.threads == 1 else [*headers, f"include/{layout.name}_threads.h"]


def read_limited(path: Path, expected: int) -> bytes:
    """The contents of a file that should have `expected` bytes.

    Raises PockError if it cannot be read or has another size.
    """
    try:
        size = path.stat().st_size
        if size != expected:
            raise PockError(f"{quote(path)} should have {expected} bytes, but has {size}")
        return path.read_bytes()
    except OSError as error:
        raise PockError(f"cannot read {quote(path)}: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Replace `path` by `data` so that a crash leaves the old or the new file whole."""
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise PockError(f"cannot write {quote(path)}: {error.strerror}") from error


def write_files(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` under `root`: all under temporary names first, then all renamed."""
    pairs = [(root / path, data) for path, data in sorted(files.items())]
    written: list[Path] = []
    try:
        for path, data in pairs:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f"{path.name}.part")
            written.append(beside)
            beside.write_bytes(data)
        for path, _ in pairs:
            path.with_name(f"{path.name}.part").replace(path)
    except OSError as error:
        raise PockError(f"cannot write to {quote(root)}: {error.strerror}") from error
    finally:
        for beside in written:
            with contextlib.suppress(OSError):  # it never came to be, or cannot be removed
                beside.unlink()
    return root
