"""Which importer takes a model, how one is forced, and what is said if a framework is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pock.frontends import EXTRAS, FRONTENDS, frontend_of
from pock.tools import pock as command
from pock.tools.pock import main
from pock_ir.diagnostics import PockError


def instance(module: str, name: str = "Model") -> Any:
    """An object whose class says that it was defined in `module`."""
    return type(name, (), {"__module__": module})()


OWN = {
    "torch.nn.modules.linear": "torch",
    "keras.src.models.sequential": "keras",
    "flax.nnx.module": "jax",
    "equinox._module": "jax",
    "tensorflow.python.eager": "tensorflow",
}


@pytest.mark.parametrize("module", OWN)
def test_the_model_chooses(module: str) -> None:
    assert frontend_of(instance(module)) == frontend_of(instance(module), OWN[module])


@pytest.mark.parametrize("module", OWN)
@pytest.mark.parametrize("forced", FRONTENDS)
def test_another_frontend_is_refused(module: str, forced: str) -> None:
    if forced == OWN[module] or (OWN[module], forced) == ("keras", "tensorflow"):
        return
    with pytest.raises(PockError, match=f"of {OWN[module]}, and the frontend is forced to be"):
        frontend_of(instance(module), forced)


def test_what_no_frontend_is_for() -> None:
    with pytest.raises(PockError, match="is no model that pock can import"):
        frontend_of(lambda x: x)
    with pytest.raises(PockError, match="is no model of torch"):
        frontend_of(lambda x: x, "torch")
    with pytest.raises(PockError, match=r"'m\.keras' is given as a model") as caught:
        frontend_of(Path("m.keras"))
    assert "pock.keras.load" in str(caught.value)
    with pytest.raises(PockError, match="unknown frontend 'nix'") as caught:
        frontend_of(1, "nix")
    assert all(name in str(caught.value) for name in FRONTENDS)
    assert frontend_of(lambda x: x, "jax") == "jax"


def test_the_command_line_knows_every_frontend() -> None:
    assert set(command.FRONTENDS) == set(FRONTENDS)


MISSING = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from pock.tools.pock import main
sys.exit(main(["check", "job.py:job"]))
"""


@pytest.mark.parametrize("package", EXTRAS)
def test_a_job_without_its_framework(package: str, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(f"import pock\n\nimport {package}\n")
    done = subprocess.run(
        [sys.executable, "-c", MISSING.format(package=package)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"job.py:3: error: ModuleNotFoundError: No module named '{package}'" in done.stderr
    assert f"pip install 'pock[{EXTRAS[package]}]'" in done.stderr


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_an_importer_without_its_framework(frontend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pock.frontends import import_model

    loaded = [name for name in sys.modules if name.startswith(f"pock.frontends.{frontend}.")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, frontend, None)
    model = instance(f"{FRONTENDS[frontend].origins[0]}.x")
    given = {"example_inputs": (), "example_targets": None, "loss": "mse", "name": "n"}
    job = SimpleNamespace(model=model, frontend=None, **given)
    with pytest.raises(PockError, match=f"needs {frontend}, which is not installed") as caught:
        import_model(job)
    assert f"pip install 'pock[{frontend}]'" in str(caught.value)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_ops_of_every_frontend(frontend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--frontend", frontend, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(row["forward"] and row["backward"] for row in found["operators"])
    counts = found["counts"]
    assert counts["refused"] > 0 and 0 < counts["with_gradients"] <= counts["supported"]
    assert main(["ops", "--frontend", frontend]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        f"{counts['supported']} are supported, {counts['with_gradients']} of them with gradients; "
        f"{counts['refused']} are refused"
    )


def test_ops_lists_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--frontend", "jax", "--targets"]) == 2
    assert "--frontend and --targets list different things" in capsys.readouterr().err
