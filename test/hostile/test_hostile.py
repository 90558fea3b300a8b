"""Hostile input: one clear message and exit status 2, never a traceback, a hang or a file."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hostile_files as files
import hostile_ir as ir
import hostile_names as names
import numpy as np
import pytest

from pock.tools.pock import main as pock
from pock.tools.pock_opt import main as pock_opt
from pock.weights import load_weights
from pock_ir.diagnostics import PockError
from pock_ir.passes.scheme_file import read_scheme
from pock_ir.targets.c.program import blob

NET = Path(__file__).parent.parent / "filecheck" / "Inputs" / "net.mlir"


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(folder.iterdir()) == [], "a refused input left files behind"


def assert_refused(status: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Exit status 2, nothing on the output, one printable message."""
    out, err = capsys.readouterr()
    assert status == 2, err
    assert out == ""
    assert_one_message(err)
    return err


def assert_one_message(text: str) -> None:
    assert "Traceback" not in text and "internal error" not in text
    lines = [line for line in text.splitlines() if not line.startswith("  help: ")]
    assert len(lines) == 1 and "error: " in lines[0], text
    assert len(lines[0]) < 2500 and lines[0].isprintable()
    assert len(lines[0].partition("error: ")[2]) > 5


def assert_error(error: PockError) -> None:
    assert_one_message(str(error))


@pytest.mark.parametrize("name", ir.TEXTS)
def test_ir(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.mlir"
    file.write_bytes(ir.TEXTS[name].encode("utf-8"))
    assert_refused(pock_opt([str(file)]), capsys)


@pytest.mark.parametrize("name", ir.PASSES)
def test_pass_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(pock_opt([str(NET), "-p", ir.PASSES[name]]), capsys)


@pytest.mark.parametrize("name", files.WEIGHTS)
def test_weights(name: str, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(files.WEIGHTS[name])
    with pytest.raises(PockError) as caught:
        load_weights(file)
    assert_error(caught.value)


def test_the_base_of_the_images_is_good() -> None:
    assert blob.decode(files.GOOD, blob.STATE, files.GOOD_HASH).step == 3


@pytest.mark.parametrize("name", files.IMAGES)
def test_image(name: str) -> None:
    with pytest.raises(PockError) as caught:
        blob.decode(files.IMAGES[name], blob.STATE, files.GOOD_HASH)
    assert_error(caught.value)


@pytest.mark.parametrize("name", files.SCHEMES)
def test_scheme(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(files.SCHEMES[name])
    with pytest.raises(PockError) as caught:
        read_scheme(str(file))
    assert_error(caught.value)


# --- compiled programs ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program whose parameters have the worst names there are."""
    return names.program().write(tmp_path_factory.mktemp("program") / "out")


@pytest.fixture
def copied(program_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(program_folder, tmp_path / "copy"))


@pytest.mark.parametrize("name", files.MANIFESTS)
def test_manifest(name: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = copied / "pock.json"
    manifest.write_bytes(files.manifest_with(json.loads(manifest.read_text()), name))
    assert_refused(pock(["verify", str(copied)]), capsys)


@pytest.mark.parametrize("name", files.MANIFEST_TEXTS)
def test_manifest_text(name: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "pock.json").write_bytes(files.MANIFEST_TEXTS[name])
    assert_refused(pock(["report", str(copied)]), capsys)


@pytest.mark.parametrize("file", ["Makefile", "src", "include", "state", "constants"])
def test_changed_file(file: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = next(path for path in sorted(copied.rglob("*")) if path.is_file() and file in str(path))
    found.write_bytes(found.read_bytes() + b" ")
    assert_refused(pock(["verify", str(copied)]), capsys)


def test_file_is_a_device(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "Makefile").unlink()
    (copied / "Makefile").symlink_to("/dev/zero")
    assert_refused(pock(["report", str(copied)]), capsys)


STATES = sorted(set(files.IMAGES) - {"other kind"})


@pytest.mark.parametrize("name", STATES)
def test_state_in_the_program(name: str, loaded: names.Program) -> None:
    """The C loader refuses what the Python reader refuses, and changes nothing."""
    good = loaded.session.save()
    bad = names.damaged(good, name)
    with pytest.raises(PockError) as caught:
        loaded.session.load(bad)
    assert_error(caught.value)
    assert loaded.session.save() == good


@pytest.fixture(scope="session")
def loaded(program_folder: Path) -> names.Program:
    import pock as package

    return package.load_program(program_folder)


# --- names ------------------------------------------------------------------------------------


def test_odd_names_compile_to_correct_c(loaded: names.Program) -> None:
    """Every parameter is trained, exported under its own name, and equal to numpy's result."""
    names.assert_trains(loaded)


def test_odd_names_survive_strict_compilers(program_folder: Path, tmp_path: Path) -> None:
    names.assert_strict(program_folder, tmp_path)


@pytest.mark.parametrize("name", names.PROGRAM_NAMES)
def test_program_name(name: str) -> None:
    with pytest.raises(PockError) as caught:
        names.program(name)
    assert_error(caught.value)


# --- arrays, jobs and options -------------------------------------------------------------------


def _npz(member: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, data)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


HUGE = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
)
ARRAYS = {
    "empty": b"",
    "text": b"x,y\n1,2\n",
    "zip of nothing useful": _npz("readme.txt", b"hello"),
    "object array": _npz("x.npy", _npy(np.array([{"a": 1}], dtype=object))),
    "no numpy header": _npz("x.npy", b"garbage"),
    "huge shape": _npz("x.npy", HUGE + b" " * 37 + b"\n"),
    "complex": _npz("x.npy", _npy(np.zeros((4, 5), np.complex64))),
    "unknown name": _npz("evil.npy", _npy(np.zeros((4, 5), np.float32))),
    "wrong shape": _npz("x.npy", _npy(np.zeros((5, 4), np.float32))),
    "wrong dtype": _npz("x.npy", _npy(np.zeros((4, 5), np.float64))),
    "cut": _npz("x.npy", _npy(np.zeros((4, 5), np.float32)))[:-30],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.npz"
    file.write_bytes(ARRAYS[name])
    assert_refused(pock_opt([str(NET), "--run", "infer", "--inputs", str(file)]), capsys)


JOBS = {
    "syntax error": "def job(:\n",
    "raises": "1 / 0\n",
    "exits": "import sys\nsys.exit(0)\n",
    "recursion": "def job():\n    return job()\n",
    "no such name": "x = 1\n",
    "no job": "def job():\n    return 7\n",
    "unprintable error": "raise ValueError('\\x1b[2J\\n' * 1000)\n",
    "wrong import": "import no_such_module\n",
}


@pytest.mark.parametrize("name", JOBS)
def test_job(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "job.py"
    file.write_text(JOBS[name])
    assert_refused(pock(["compile", f"{file}:job", "-o", str(tmp_path / "out")]), capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["x", "x.py", "x.py:", "x.py:a b", ":job", "../../x.txt:job", "no.py:job"]
)
def test_job_text(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(pock(["check", text]), capsys)


CONFIGS = {
    "no toml": b"[compile",
    "unknown command": b"[evil]\nx = 1\n",
    "unknown key": b"[compile]\nevil = 1\n",
    "a list": b"[compile]\nupdate = [1]\n",
    "not a table": b"compile = 1\n",
    "not UTF-8": b"\xff",
    "too long": b"#" * (2 << 20),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_config(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pock.toml"
    file.write_bytes(CONFIGS[name])
    assert_refused(pock(["--config", str(file), "ops"]), capsys)


def test_there_are_a_hundred() -> None:
    tables = (ir.TEXTS, ir.PASSES, files.WEIGHTS, files.IMAGES, files.SCHEMES, files.MANIFESTS)
    assert sum(map(len, tables)) >= 100
