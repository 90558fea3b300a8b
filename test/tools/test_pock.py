"""`pock` from a job to a trained program, with every exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import pock
from pock.tools.pock import cli, main
from pock_ir.diagnostics import PockError

pytest.importorskip("torch")

JOB = """\
import torch, pock

def job():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    return pock.Job(model, (torch.randn(4, 6),), torch.randint(0, 3, (4,)), target="c", name="mlp")

class Odd(torch.nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x).cumsum(1)

def odd():
    return pock.Job(Odd(), (torch.randn(4, 6),), torch.randint(0, 3, (4,)), update="evil")
"""


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("job") / "train.py"
    file.write_text(JOB)
    return f"{file}:job"


@pytest.fixture(scope="session")
def folder(job: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compiled") / "out"
    assert main(["-q", "compile", job, "-o", str(out)]) == 0
    return out


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(arguments)
    return (status, *capsys.readouterr())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pock.tools.pock import main; main(['--help']);"
        "heavy = {'numpy', 'torch', 'xdsl', 'rich', 'cffi', 'safetensors'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.commands:
        status, out, _ = run([name, "--help"], capsys)
        assert status == 0 and f"pock {name}" in out


def test_compile_writes_and_reports(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(["compile", job, "-o", "out", "--update", "head"], capsys)
    assert status == 0 and "mlp for c" in out and "written to out" in err
    assert (Path("out") / "src" / "mlp.c").is_file()
    facts = json.loads(run(["compile", job, "-o", "out", "--json"], capsys)[1])
    assert facts["name"] == "mlp" and facts["trained_values"] == facts["values"]


def test_dumped_ir_goes_through_pock_opt(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    from pock.tools.pock_opt import main as pock_opt

    assert run(["compile", job, "-o", "out", "--dump-ir", "ir"], capsys)[0] == 0
    assert pock_opt(["ir/00-start.mlir", "--pipeline", "training", "--validate-each"]) == 0
    Path("file").write_text("")
    status, _, err = run(["compile", job, "-o", "out2", "--dump-ir", "file"], capsys)
    assert status == 2 and "cannot write 'file'" in err and not Path("out2").exists()


def test_over_budget_is_no_and_writes_nothing(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(["compile", job, "-o", "out", "--budget", "1KB"], capsys)
    assert status == 1 and out == "" and "more than the budget of 1024" in err
    assert not Path("out").exists()
    status, out, _ = run(["check", job, "--ram", "1KB", "--json"], capsys)
    assert status == 1 and json.loads(out)["over_budget"] is True


def test_check_lists_every_gap_at_once(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    odd = job.replace(":job", ":odd")
    status, _, err = run(["check", odd, "--target", "evil", "--budget", "much"], capsys)
    assert status == 2
    for part in (
        "unknown target 'evil'",
        "no update 'evil'",
        "'much' is not a size",
        "train.py:10",
    ):
        assert part in err, err
    status, out, _ = run(["check", odd, "--target", "evil", "--json"], capsys)
    assert status == 2 and len(json.loads(out)["problems"]) >= 3
    assert run(["check", job], capsys)[:2] == (0, "mlp: compiles\n")
    assert list(Path().iterdir()) == []


def test_options_stand_in_a_file_and_flags_win(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pock.toml").write_text(f'[compile]\njob = "{job}"\nname = "other"\nthreads = 2\n')
    assert run(["compile", "-o", "out"], capsys)[0] == 0
    assert (Path("out") / "src" / "other_threads.c").is_file()
    status, out, _ = run(["compile", "-o", "out2", "--name", "third", "--threads", "1"], capsys)
    assert status == 0 and out.startswith("third for c\n")


def test_report_in_every_form(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(["report", str(folder)], capsys)
    assert status == 0 and "train_step" in out and "alive at the peak" in out
    facts = json.loads(run(["report", str(folder), "--json"], capsys)[1])
    assert f"({facts['arena_bytes']})" in out or f"{facts['arena_bytes']} bytes" in out
    assert run(["report", str(folder), "--format", "html", "-o", "r.html"], capsys)[0] == 0
    page = Path("r.html").read_text()
    assert "<script" not in page and "data:image/svg+xml" in page


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs GCC")
def test_report_of_the_stack(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = json.loads(run(["report", str(folder), "--json", "--stack"], capsys)[1])["stack"]
    assert stack["bytes"] == max(stack["entries"].values()) > 0
    out = run(["report", str(folder), "--stack"], capsys)[1]
    assert f"train_step: {stack['entries']['train_step']} bytes" in out


def test_report_refuses_a_wrong_value(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pock.strict_json import Node
    from pock.tools.commands.report import facts_of

    good = json.loads((folder / "memory.json").read_text())
    for key in ("name", "arena_bytes", "functions", "kernels", "savings"):
        with pytest.raises(PockError, match=f"memory.json: error: .*'{key}'"):
            facts_of(Node({**good, key: 1.5}, "memory.json", "", None))
        with pytest.raises(PockError, match=f"the key '{key}' is missing"):
            facts_of(Node({k: v for k, v in good.items() if k != key}, "memory.json", "", None))


def test_verify_compares_with_the_framework(
    job: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(["verify", job, "--steps", "2"], capsys)
    assert status == 0 and "tensors agree" in out
    status, out, _ = run(["verify", str(folder), "--job", job, "--steps", "1", "--json"], capsys)
    assert status == 0 and json.loads(out)["passed"] is True
    status, _, err = run(["verify", str(folder), "--job", job, "--update", "head"], capsys)
    assert status == 1 and "the job now compiles to another file" in err


def test_verify_of_a_folder_runs_a_step(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(["verify", str(folder)], capsys)
    assert status == 0 and "one step runs" in out and "--job" in err


def test_a_difference_is_no(
    job: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pock.verify

    row = pock.verify.Row(1, "gradient", "0.weight", 0.5, 0.5, 1e-8)
    wrong = pock.verify.Verification((row,))
    monkeypatch.setattr("pock.compiler.verify_program", lambda job, steps: wrong)
    status, out, _ = run(["verify", job], capsys)
    assert status == 1 and "1 of 1 tensors differ; the first: gradient 0.weight in step 1" in out


def test_repeated_runs_are_shown(
    job: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pock.verify

    repeated = pock.verify.Repeated((2e-3,) * 16, (2e-3, 1e-3) * 8)
    row = pock.verify.Row(1, "gradient", "0.weight", 0.5, 0.5, 1e-8, repeated=repeated)
    found = pock.verify.Verification((row,))
    monkeypatch.setattr("pock.compiler.verify_program", lambda job, steps: found)
    status, out, _ = run(["verify", job], capsys)
    assert status == 0
    cells = next(line.split() for line in reversed(out.splitlines()) if "0.weight" in line)
    assert cells[-4:-1] == ["2.00e-03", "1.50e-03", "0.75"]
    assert "1 tensors were judged by repeated runs: pock's median error is 1.33 times" in out
    status, out, _ = run(["verify", job, "--json"], capsys)
    shown = json.loads(out)["rows"][0]["repeated"]
    assert (shown["runs"], shown["exceedance"], shown["own_median"]) == (16, 0.75, 2e-3)


@pytest.fixture
def data() -> Path:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6)).astype(np.float32)
    np.savez("data.npz", input=x, target=np.argmax(x[:, :3], 1))
    return Path("data.npz")


def test_run_trains_saves_and_resumes(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["run", str(folder), "--data", str(data), "--json"]
    evaluate = ["--eval-data", str(data), "--rate", "0.3", "--save", "a.bin", "--export", "a.st"]
    status, out, _ = run([*base, "--iters", "120", *evaluate], capsys)
    result = json.loads(out)
    assert status == 0 and result["losses"][-1] < 0.6 * result["losses"][0]
    assert result["evaluation"]["accuracy"] > 0.8
    from pock.weights import load_weights

    assert set(load_weights("a.st")) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    again = json.loads(run([*base, "--load", "a.bin", "--iters", "3"], capsys)[1])
    assert max(again["losses"]) < result["losses"][0]


def test_run_says_what_does_not_fit(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("wrong.npz", input=np.zeros((4, 7), np.float32))
    status, _, err = run(["run", str(folder), "--data", "wrong.npz"], capsys)
    assert status == 2 and err.count("error: ") == 2
    assert "input 'input' should be float32 of shape ('rows', 6)" in err
    assert "target 'target' is missing" in err
    np.savez("few.npz", input=np.zeros((2, 6), np.float32), target=np.zeros(2, np.int64))
    status, _, err = run(["run", str(folder), "--data", "few.npz"], capsys)
    assert status == 2 and "2 rows do not fill a batch of 4" in err
    np.savez("bad.npz", input=np.zeros((4, 6), np.float32), target=np.full(4, 7))
    status, _, err = run(["run", str(folder), "--data", "bad.npz"], capsys)
    assert status == 2 and "the program refused" in err


def test_an_interrupt_leaves_no_files(
    job: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pock.tools.commands.compile.compile_job", interrupted)
    assert run(["compile", job, "-o", "out"], capsys) == (130, "", "pock: interrupted\n")
    assert list(Path().iterdir()) == []


def test_a_defect_is_reported_in_one_line(
    job: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defect(*arguments: object) -> None:
        raise KeyError("boom")

    monkeypatch.setattr("pock.tools.commands.compile.compile_job", defect)
    status, _, err = run(["compile", job, "-o", "out"], capsys)
    assert status == 70 and err.startswith("pock: internal error, please report it: KeyError")
    assert "Traceback" not in err and "Traceback" in Path("pock-error.txt").read_text()


def test_ops_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["op"]: row for row in json.loads(run(["ops", "--json"], capsys)[1])}
    assert rows["nn.conv2d"]["backward"] == "yes" and rows["nn.compare"]["backward"] == "zero"
    kernels = json.loads(run(["ops", "--json", "--target", "x86-64-v4"], capsys)[1])
    assert next(row["kernels"] for row in kernels if row["op"] == "nn.conv2d")
    assert run(["ops", "--target", "evil"], capsys)[0] == 2


def test_load_program_gives_the_program_back(folder: Path) -> None:
    program = pock.load_program(folder)
    x, y = np.ones((4, 6), np.float32), np.zeros(4, np.int64)
    losses = [program.step(x, y) for _ in range(3)]
    assert losses[2] < losses[0]
    loss, outputs = program.eval(x, y)
    assert [a.shape for a in outputs.values()] == [(4, 3)] and loss < losses[2]
    for question in (program.report, program.verify):
        with pytest.raises(PockError, match="read from a folder"):
            question()
