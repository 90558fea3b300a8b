"""The census of models: its table is complete, current, and free of failures."""

import subprocess
import sys

import pytest

from benchmarks.census.one import AGREES, FAILED, REFUSED, reasons
from benchmarks.census.sources import all_models
from benchmarks.census.table import DATA, PAGE, REFRESH, ROOT, problems, read, render
from pock_ir.diagnostics import Diagnostic

LEAST = 60
HINT = f"refresh it with `{REFRESH}`, or `{REFRESH} --only 'SOURCE/MODEL'` for some rows"


def test_the_table_is_complete() -> None:
    found = problems(read(), all_models())
    assert not found, f"{HINT}:\n" + "\n".join(found)


def test_there_are_enough_models() -> None:
    rows = read()
    assert len(rows) >= LEAST
    verdicts = {row["verdict"] for row in rows.values()}
    assert verdicts <= {AGREES, REFUSED}, HINT


@pytest.mark.parametrize("name", read())
def test_a_row_says_why(name: str) -> None:
    row = read()[name]
    if row["verdict"] == AGREES:
        assert row["tensors"] == row["within"] + row["closer"] + row["repeated"] > 0
        assert not row["differing"]
    else:
        assert row["reasons"], HINT


def test_models_are_listed_without_their_packages() -> None:
    """Whoever has none of the packages can still read the list."""
    script = (
        "import sys\n"
        "for name in ('transformers', 'timm', 'torchvision', 'keras', 'flax'):\n"
        "    sys.modules[name] = None\n"
        "from benchmarks.census.sources import all_models\n"
        "print(len(all_models()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(all_models())


def test_reasons_are_listed_once() -> None:
    found = reasons(
        [
            Diagnostic("foo is not supported (operands: 3xf32)", "model.py:3:0"),
            Diagnostic("foo is not supported (operands: 4xf32)", "model.py:9:0"),
            Diagnostic("no line"),
        ]
    )
    assert found == ["foo is not supported (model.py:3 and 1 more)", "no line"]


def test_the_page_shows_every_verdict() -> None:
    worst = {f"worst_{kind}": {"error": 2e-7} for kind in ("loss", "gradient", "updated")}
    judged = {"tensors": 6, "within": 3, "closer": 2, "repeated": 1, "runs": 16}
    agreeing = {"verdict": AGREES, "parameters": 1234, "frontend": "torch", **worst, **judged}
    rows = {
        "timm/good": {**agreeing, "versions": {"timm": "1.0"}},
        "timm/refused": {"verdict": REFUSED, "reasons": ["a|b", "c"], "versions": {}},
        "flax/broken": {"verdict": FAILED, "reasons": ["KeyError: 1"], "versions": {}},
    }
    page = render(rows)
    assert "| all | 3 | 1 | 1 | 1 |" in page
    assert "| good | torch | 1,234 | 6 | 2.0e-07 |" in page
    assert "3 within 1e-5; 2 closer to float64 than the framework; 1 over 16 more runs" in page
    assert "| refused | - | - | a\\|b<br>c |" in page
    assert "| broken | - | - | KeyError: 1 |" in page
    assert "timm 1.0" in page
    assert problems(rows, list(rows))[-1] == "flax/broken: failed"
    assert DATA.name in problems(rows, list(rows))[0] and PAGE.name in problems(rows, [])[0]
