"""Run each importer's tests where only its own framework is installed.

The wheel is installed with one framework's extra into an empty virtual environment outside the
checkout, where the other frameworks must be impossible to import; the importer's tests run on that
wheel. Every test module must pass something, and nothing may be skipped: what a test needs, the
extra must bring. What works without any framework is checked by check_wheel.py.

    python scripts/check_alone.py [--keep] [torch] [jax] [keras] [tensorflow]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TextIO

from environments import REPOSITORY, build, check_frameworks, install, make_environment, run

TESTS = Path("test") / "frontends"


@dataclass(frozen=True)
class Stage:
    """What is installed, and what must then pass.

    extras: of the project, beside `test`. files: patterns of test modules in the importer's folder;
    those of earlier stages are not run again. left_out: words in the names of tests that are too
    slow to run a second time: their numbers do not depend on what else is installed, and the other
    tests of their modules import the same packages. variables: of the environment.
    """

    extras: tuple[str, ...]
    files: tuple[str, ...] = ("test_*.py",)
    left_out: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        without = f" without {', '.join(self.left_out)}" if self.left_out else ""
        return f"[{','.join(self.extras)}]{without}"


# By the importer's folder, the longest first.
ALONE: Mapping[str, tuple[Stage, ...]] = {
    # The other tests use libraries that models are written in, and absl-py, which these bring.
    "jax": (
        Stage(("jax",), ("test_plain_jax.py",)),
        Stage(("jax", "jax-models"), left_out=("transformer", "cnn", "cum")),
    ),
    "tensorflow": (Stage(("tensorflow",), left_out=("mobilenet",)),),
    "torch": (Stage(("torch",), left_out=("lstm", "zoo_cnn", "bert")),),
    # test_keras_on_jax only starts the other files, each in a process of its own.
    "keras": (
        Stage(
            ("keras",),
            ("test_*.py", "check_*.py"),
            ("test_keras_on_jax", "transformer", "lstm", "resnet", "efficientnet"),
            {"KERAS_BACKEND": "jax"},
        ),
    ),
}


@dataclass
class Outcome:
    """Of one importer: seconds, passed tests by module, and why it failed if it did."""

    name: str
    installing: float = 0.0
    testing: float = 0.0
    passed: Counter[str] = field(default_factory=Counter)
    problem: str = ""


def copy_tests(name: str, folder: Path) -> None:
    """The importer's tests and the helpers that all tests share, in `folder`."""
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / TESTS / name, folder / TESTS / name, ignore=unwanted)
    for path in (REPOSITORY / "test").glob("*.py"):
        if not path.name.startswith("test_"):
            shutil.copy(path, folder / "test")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)


def modules_of(stage: Stage, folder: Path, known: Sequence[Path]) -> list[Path]:
    """The test modules in `folder` that `stage` runs, but for those `known` before."""
    found = {path for pattern in stage.files for path in folder.glob(pattern)}
    return sorted(found - set(known))


def run_tests(
    python: Path, stage: Stage, box: Path, modules: Sequence[Path], report: Path, log: TextIO
) -> None:
    """Run the chosen tests in `box`, and write `report`. Raises SystemExit if one fails."""
    # Not `python -m pytest`, which puts the folder that it runs in on the path.
    pytest = [python.parent / "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    output = ["-o", "junit_family=xunit1", f"--junitxml={report}"]
    chosen = ["-k", f"not ({' or '.join(stage.left_out)})"] if stage.left_out else []
    run([*pytest, *output, *chosen, *modules], box, log, stage.variables)


def read_results(report: Path, modules: Sequence[Path]) -> Counter[str]:
    """Passed tests by module, from pytest's report in JUnit's format.

    Raises SystemExit if a test was skipped or a module passed none.
    """
    passed: Counter[str] = Counter()
    skipped: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):
        mark = case.find("skipped")
        if mark is None:
            passed[Path(case.attrib["file"]).name] += 1
        elif mark.attrib["type"] == "pytest.skip":
            skipped.append(f"{case.attrib['name']}: {mark.attrib['message']}")
    if skipped:
        raise SystemExit(f"{len(skipped)} tests were skipped: {'; '.join(skipped)}")
    missing = [path.name for path in modules if not passed[path.name]]
    if missing or not modules:
        raise SystemExit(f"no test ran of {', '.join(missing) or 'any module'}")
    return passed


def check_stages(outcome: Outcome, wheel: Path, folder: Path, log: TextIO) -> None:
    """Install and test, stage by stage, adding to `outcome`. Raises SystemExit if one fails."""
    box, report = folder / "tests", folder / "report.xml"
    copy_tests(outcome.name, box)
    python = make_environment(folder / "venv", log)
    known: list[Path] = []
    for stage in ALONE[outcome.name]:
        start = monotonic()
        install(python, wheel, (*stage.extras, "test"), log)
        check_frameworks(python, stage.extras)
        installed = monotonic()
        outcome.installing += installed - start
        modules = modules_of(stage, box / TESTS / outcome.name, known)
        known += modules
        run_tests(python, stage, box, modules, report, log)
        outcome.passed += read_results(report, modules)
        outcome.testing += monotonic() - installed


def check(name: str, wheel: Path, parent: Path, keep: bool) -> Outcome:
    """The outcome for the importer `name`, in a folder of its own; prints the log if it failed."""
    outcome, folder = Outcome(name), parent / name
    folder.mkdir()
    path = folder / "log.txt"
    with path.open("w", encoding="utf-8") as log:
        try:
            check_stages(outcome, wheel, folder, log)
        except SystemExit as error:
            outcome.problem = str(error)
    if outcome.problem:
        print(path.read_text(encoding="utf-8"), f"{name}: {outcome.problem}", sep="\n", flush=True)
    if not keep:
        shutil.rmtree(folder)
    return outcome


def show(outcome: Outcome) -> None:
    """One line for the importer, and one for each of its modules."""
    stages = ", then ".join(map(str, ALONE[outcome.name]))
    print(
        f"{outcome.name} with {stages}: {outcome.passed.total()} passed, "
        f"{outcome.installing:.0f} s to install, {outcome.testing:.0f} s to test",
        flush=True,
    )
    for module, count in sorted(outcome.passed.items()):
        print(f"  {count:5} {module}")


def check_all(names: Sequence[str], folder: Path, keep: bool) -> list[Outcome]:
    """The outcomes for importers, with one wheel built for all; works in `folder`."""
    _, wheel = build(folder)
    # Each installs and tests mostly on one core; more at once would need much memory and disk.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda name: check(name, wheel, folder, keep), names))


def main() -> None:
    """Raise SystemExit if an importer does not work without the other frameworks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = ", ".join(ALONE)
    parser.add_argument("importers", nargs="*", metavar="IMPORTER", help=f"{known}; default: all")
    parser.add_argument("--keep", action="store_true", help="keep the environments and say where")
    options = parser.parse_args()
    unknown = set(options.importers) - ALONE.keys()
    if unknown:
        parser.error(f"no importer is called {', '.join(sorted(unknown))}; known: {known}")
    folder = Path(tempfile.mkdtemp(prefix="pock-alone-"))
    try:
        outcomes = check_all(options.importers or list(ALONE), folder, options.keep)
    finally:
        if options.keep:
            print(f"kept in {folder}")
        else:
            shutil.rmtree(folder)
    for outcome in outcomes:
        show(outcome)
    failed = [outcome.name for outcome in outcomes if outcome.problem]
    if failed:
        raise SystemExit(f"these do not work alone: {', '.join(failed)}")
    print("each of these importers works without the other frameworks")


if __name__ == "__main__":
    main()
