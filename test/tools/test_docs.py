"""The generated lists are those that scripts/generate_docs.py would write now."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_generated_files_are_up_to_date() -> None:
    pytest.importorskip("torch")
    command = [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}run: make docs\n{done.stderr[-2000:]}"
