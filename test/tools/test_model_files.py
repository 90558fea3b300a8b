"""Files that are no .keras file, refused before Keras is imported, and options for them."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pock.frontends.keras.archive import check_archive
from pock.tools.model_files import _program_name
from pock.tools.pock import main
from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.text import program_name

Write = Callable[[Path], object]


def archive(**files: str) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as opened:
            for name, text in files.items():
                opened.writestr(f"{name}.json", text)

    return write


def code(name: str) -> dict[str, object]:
    function = {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}
    return {"class_name": "Lambda", "config": {"name": name, "function": function}}


LAMBDAS = json.dumps({"config": {"layers": [code("a"), {"config": {"layer": code("b")}}]}})

BAD: dict[str, tuple[str, Write]] = {
    "cannot read 'm.keras': no such file": ("m.keras", lambda _: None),
    "is a folder, not a .keras file": ("m.keras", Path.mkdir),
    "'m.keras' is empty": ("m.keras", Path.touch),
    "is not a .keras file: File is not a zip": ("m.keras", lambda p: p.write_text("hello, all")),
    "it holds no config.json": ("m.keras", archive(metadata="{}")),
    "its config.json is not JSON": ("m.keras", archive(config="{")),
    "the Lambda layer 'a' holds Python code": ("m.keras", archive(config=LAMBDAS)),
    "the Lambda layer 'b' holds Python code": ("m.keras", archive(config=LAMBDAS)),
    "is an HDF5 file, the older format": (
        "m.keras",
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n and more"),
    ),
    "pock reads .keras files: load it in Keras": ("m.h5", lambda p: p.write_bytes(b"\x89HDF")),
    "'m.onnx' does not name a job\n  help: write FILE.py:NAME": ("m.onnx", Path.touch),
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("command", ["check", "compile", "verify"])
def test_files_that_are_refused(
    message: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    name, write = BAD[message]
    write(Path(name))
    if command == "verify" and Path(name).is_dir():
        return  # it may be one that pock wrote
    status = main([command, name, *(["-o", "out"] if command == "compile" else [])])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and message in err, err
    assert not Path("out").exists()


def test_code_of_a_trusted_file_is_passed_on(tmp_path: Path) -> None:
    archive(config=LAMBDAS)(tmp_path / "m.keras")
    with pytest.raises(PockError):
        check_archive(tmp_path / "m.keras")
    check_archive(tmp_path / "m.keras", safe_mode=False)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    archive(config="[" * 100_000)(tmp_path / "m.keras")
    with pytest.raises(PockError, match=r"is not a \.keras file"):
        check_archive(tmp_path / "m.keras")


@pytest.mark.parametrize(
    "stem", ["digits", "My digits-2", "3d", "ÄÖ", "a" * 40, "x" * 31 + "-y", "int", "_", "CON"]
)
def test_program_names(stem: str) -> None:
    name = _program_name(Path(f"{stem}.keras"))
    assert program_name(name) == name


@pytest.mark.parametrize("option", ["--batch", "--data"])
def test_examples_of_a_job_stand_in_it(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "job.py:job", option, "3"]) == 2
    assert f"{option} is for .keras files" in capsys.readouterr().err


def test_without_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(config="{}")(tmp_path / "m.keras")
    monkeypatch.setitem(sys.modules, "keras", None)
    assert main(["check", str(tmp_path / "m.keras")]) == 2
    err = capsys.readouterr().err
    assert "needs keras, which is not installed" in err and "pip install 'pock[keras]'" in err
