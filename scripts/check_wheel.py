"""Build the source archive and the wheel, install the wheel alone, and use it outside the checkout.

The wheel is built from the source archive, so that both are complete. It is installed with its
core requirements into an empty virtual environment: no framework, no tests, no checkout.

    python scripts/check_wheel.py
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from environments import REPOSITORY, build, check_frameworks, install, make_environment, run

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
    python, empty = make_environment(folder / "venv"), folder / "empty"
    binaries = python.parent
    install(python, wheel)
    empty.mkdir()
    check_frameworks(python, ())
    shutil.copy(SMOKE, empty)
    portable = MODULE.read_text(encoding="utf-8").replace('"reference"', '"c"')
    (empty / MODULE.name).write_text(portable, encoding="utf-8")
    run([binaries / "pock", "--help"], empty)
    run([binaries / "pock", "ops", "--targets"], empty)
    run([binaries / "pock-opt", "--help"], empty)
    planned = ["--pipeline", "training{optimizer=adam}", "-o", "planned.mlir"]
    run([binaries / "pock-opt", MODULE.name, *planned], empty)
    run([python, "-I", SMOKE.name, "planned.mlir"], empty)


def main() -> None:
    """Raise SystemExit with a reason if the packages are not usable."""
    with tempfile.TemporaryDirectory(prefix="pock-wheel-") as name:
        folder = Path(name)
        archive, wheel = build(folder)
        check_contents(archive, wheel)
        smoke_test(wheel, folder)
        print(f"{wheel.name} and {archive.name} are complete and work without the checkout")


if __name__ == "__main__":
    main()
