"""Build the source archive and the wheel, install the wheel alone, and use it outside the checkout.

The wheel is built from the source archive, so that both are complete. It is installed with its
core requirements into an empty virtual environment: no torch, no tests, no checkout on the path.

    python scripts/check_wheel.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODULE = REPOSITORY / "test" / "filecheck" / "Inputs" / "net.mlir"
SMOKE = REPOSITORY / "scripts" / "wheel_smoke.py"

# One file of each room, and every kind of data file.
EXPECTED = (
    "pock/compiler.py",
    "pock/driver.c.in",
    "pock/frontends/torch/importer.py",
    "pock/tools/pock_opt.py",
    "pock/tools/support.json",
    "pock_ir/dialects/conv.py",
    "pock_ir/lowering/kern_to_mem.py",
    "pock_ir/passes/autodiff/rules/conv.py",
    "pock_ir/targets/c/kernels/gemm.py",
    "pock_ir/targets/c/program/templates/main.c.in",
)
TOP_LEVEL = ("pock", "pock_ir")
"""What may be installed. Nothing general: `passes` or `tools` could be anybody's."""


def run(command: Sequence[str | Path], folder: Path) -> None:
    """Run a command in `folder`, without this checkout's paths. Raises SystemExit if it fails."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    print("+", *command, flush=True)
    done = subprocess.run([str(word) for word in command], cwd=folder, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"exit status {done.returncode}: {' '.join(map(str, command))}")


def built(folder: Path) -> tuple[Path, Path]:
    """The source archive and the wheel, in `folder`."""
    run([sys.executable, "-m", "build", "--outdir", folder, REPOSITORY], folder)
    (archive,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return archive, wheel


def check_contents(archive: Path, wheel: Path) -> None:
    """Raise SystemExit if a file is missing, or something general would be installed."""
    with tarfile.open(archive) as tar:
        sources = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    names = set(zipfile.ZipFile(wheel).namelist())
    for what, found in (("source archive", sources), ("wheel", names)):
        missing = [name for name in EXPECTED if name not in found]
        if missing:
            raise SystemExit(f"the {what} lacks {', '.join(missing)}")
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    if tops != set(TOP_LEVEL):
        raise SystemExit(f"the wheel would install {', '.join(sorted(tops))}")
    if not any(name.endswith("LICENSE") for name in names):
        raise SystemExit("the wheel lacks its license")


def smoke_test(wheel: Path, folder: Path) -> None:
    """Install `wheel` with its core requirements, and use it from an empty folder."""
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    binaries, empty = folder / "venv" / "bin", folder / "empty"
    constraints = REPOSITORY / "constraints.txt"
    run([binaries / "python", "-m", "pip", "install", "-q", "-c", constraints, wheel], folder)
    empty.mkdir()
    shutil.copy(SMOKE, empty)
    portable = MODULE.read_text(encoding="utf-8").replace('"reference"', '"c"')
    (empty / MODULE.name).write_text(portable, encoding="utf-8")
    run([binaries / "pock", "--help"], empty)
    run([binaries / "pock-opt", "--help"], empty)
    planned = ["--pipeline", "training{optimizer=adam}", "-o", "planned.mlir"]
    run([binaries / "pock-opt", MODULE.name, *planned], empty)
    run([binaries / "python", "-I", SMOKE.name, "planned.mlir"], empty)


def main() -> None:
    """Raise SystemExit with a reason if the packages are not usable."""
    with tempfile.TemporaryDirectory(prefix="pock-wheel-") as name:
        folder = Path(name)
        archive, wheel = built(folder)
        check_contents(archive, wheel)
        smoke_test(wheel, folder)
        print(f"{wheel.name} and {archive.name} are complete and work without the checkout")


if __name__ == "__main__":
    main()
