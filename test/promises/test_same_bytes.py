"""The same job gives the same files, whatever surrounds the compiler."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import hashlib, json
from small_models import program
found = {{}}
for family, update, target in (("dropout", "bias", "x86-64-v3:threads=2"), ("bert", "full", "c")):
    files = program(family, "adamw", update, target).files
    found[family] = {{path: hashlib.sha256(data).hexdigest() for path, data in files.items()}}
print(json.dumps(found, sort_keys=True))
"""

SURROUNDINGS = {
    "plain": {},
    "hash seed": {"PYTHONHASHSEED": "4242"},
    "locale": {"LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "1"},
    "time zone": {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "USER": "someone", "HOME": "/"},
}


def compiled_in(directory: Path, changes: dict[str, str]) -> str:
    """The checksums of all files, from a new interpreter in `directory`."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": "", **changes}
    script = SCRIPT.format(root=str(ROOT), tests=str(ROOT / "test"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    return compiled_in(tmp_path_factory.mktemp("plain"), {})


@pytest.mark.parametrize("name", [name for name in SURROUNDINGS if name != "plain"])
def test_files_do_not_depend_on_the_surroundings(name: str, plain: str, tmp_path: Path) -> None:
    directory = tmp_path / "another directory, with a comma"
    directory.mkdir()
    assert compiled_in(directory, SURROUNDINGS[name]) == plain


def test_files_name_no_path_of_this_machine() -> None:
    from small_models import program

    for path, data in program("mlp", "momentum").files.items():
        if not path.endswith((".bin", ".safetensors")):
            assert str(ROOT).encode() not in data, path
            assert str(Path.home()).encode() + b"/" not in data, path


def test_the_manifest_has_every_file() -> None:
    import json

    from small_models import program

    files = program("mlp", "momentum").files
    sums = json.loads(files["pock.json"])["sha256"]
    assert sums.keys() == files.keys() - {"pock.json"}
    for path, stated in sums.items():
        assert hashlib.sha256(files[path]).hexdigest() == stated
