"""`pock-opt` where the command line is not enough: defects, interrupts, files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from pock.tools.pock_opt import main
from pock_ir.diagnostics import PockError
from pock_ir.passes.simplify import SimplifyPass

NET = str(Path(__file__).parent.parent / "filecheck" / "Inputs" / "net.mlir")


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def break_simplify(monkeypatch: pytest.MonkeyPatch, work: object) -> None:
    monkeypatch.setattr(SimplifyPass, "apply", work)


def crash(self: SimplifyPass, ctx: Context, op: ModuleOp) -> None:
    raise KeyError("boom")


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = main(arguments)
    return (status, *capsys.readouterr())


def test_a_crash_leaves_a_reproducer_that_crashes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        break_simplify(patch, crash)
        status, out, err = run([NET, "--pipeline", "training"], capsys)
        assert status == 70 and out == ""
        assert "internal error, please report it: KeyError: 'boom'" in err
        assert "Traceback" not in err and "reproducer written to pock-reproducer.mlir" in err
        assert "Traceback" in (tmp_path / "pock-reproducer.txt").read_text()
        first = (tmp_path / "pock-reproducer.mlir").read_text().splitlines()[0]
        assert first == "// pock-opt pock-reproducer.mlir -p simplify"
        assert run(["pock-reproducer.mlir", "-p", "simplify"], capsys)[0] == 70
    assert run(["pock-reproducer.mlir", "-p", "simplify"], capsys)[0] == 0


def test_an_unwritable_reproducer_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_simplify(monkeypatch, crash)
    status, _, err = run([NET, "-p", "simplify", "--reproducer", "no/where.mlir"], capsys)
    assert status in (2, 70) and "no/where" in err


def test_invalid_ir_after_a_pass_is_our_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(self: SimplifyPass, ctx: Context, op: ModuleOp) -> None:
        function = next(iter(op.ops))
        block = next(o for o in function.walk() if o.name == "nn.relu").parent
        assert block is not None
        relu = next(o for o in block.ops if o.name == "nn.relu")
        relu.detach()
        block.insert_op_before(relu, next(iter(block.ops)))

    break_simplify(monkeypatch, work)
    status, _, err = run([NET, "-p", "simplify"], capsys)
    assert status == 70 and "invalid IR after pass simplify" in err
    assert run([NET, "-p", "simplify", "--no-verify-each"], capsys)[0] == 0


def test_validate_each_answers_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(self: SimplifyPass, ctx: Context, op: ModuleOp) -> None:
        for relu in [o for o in op.walk() if o.name == "nn.relu"]:
            relu.results[0].replace_all_uses_with(relu.operands[0])

    break_simplify(monkeypatch, work)
    status, out, err = run([NET, "-p", "simplify", "--validate-each"], capsys)
    assert status == 1 and out == ""
    assert err.startswith("error: pass simplify changed @train: loss: relative difference")


def test_a_refusal_of_a_pass_is_not_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def work(self: SimplifyPass, ctx: Context, op: ModuleOp) -> None:
        raise PockError("not like this")

    break_simplify(monkeypatch, work)
    assert run([NET, "-p", "simplify"], capsys) == (2, "", "error: not like this\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def work(self: SimplifyPass, ctx: Context, op: ModuleOp) -> None:
        raise KeyboardInterrupt

    break_simplify(monkeypatch, work)
    status, _, err = run([NET, "-p", "simplify", "-o", "out.mlir"], capsys)
    assert (status, err) == (130, "pock-opt: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_real_interrupt_while_reading() -> None:
    command = [sys.executable, "-m", "pock.tools.pock_opt"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"pock-opt: interrupted\n")


def test_nobody_reads_the_output() -> None:
    command = f"'{sys.executable}' -m pock.tools.pock_opt '{NET}' | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert done.stderr == b"" and done.returncode in (0, 141)


def test_split_chunks_keep_their_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = "builtin.module {}\n// -----\n\nbuiltin.module {\n"
    (tmp_path / "two.mlir").write_text(text)
    status, _, err = run(["two.mlir", "--split-input-file"], capsys)
    assert status == 2 and err.startswith("two.mlir:5:1: error: ")


def test_output_is_replaced_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "out.mlir"
    file.write_text("old")
    assert run([NET, "-p", "fuse", "-o", str(file)], capsys)[0] == 2
    assert file.read_text() == "old"
    assert run([NET, "-o", str(file)], capsys) == (0, "", "")
    assert run([str(file)], capsys)[1] == file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_dump_has_a_file_for_each_pass(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run([NET, "-p", "apply-scheme,autodiff", "--dump-ir", "dump"], capsys)[0] == 0
    names = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert names == [
        "00-start.mlir",
        "01-apply-scheme-apply-scheme.mlir",
        "02-autodiff-autodiff.mlir",
    ]
    assert run(["dump/02-autodiff-autodiff.mlir"], capsys)[0] == 0
    (tmp_path / "file").write_text("")
    status, _, err = run([NET, "-p", "simplify", "--dump-ir", "file"], capsys)
    assert status == 2 and err.startswith("error: cannot write")


def test_run_reads_and_writes_arrays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    x = np.ones((4, 5), np.float32)
    np.savez("in.npz", **{"x": x, "parameter:fc.weight": np.ones((3, 5), np.float32)})
    arguments = [NET, "--run", "infer", "--inputs", "in.npz", "--results", "out.npz", "--values"]
    status, out, _ = run(arguments, capsys)
    assert status == 0 and out.startswith("output:y: f32[4, 3] = [[")
    with np.load("out.npz") as results:
        assert list(results) == ["output:y"]
        np.testing.assert_array_equal(results["output:y"][0], results["output:y"][3])
    first = (tmp_path / "out.npz").read_bytes()
    run(arguments, capsys)
    assert (tmp_path / "out.npz").read_bytes() == first


def test_every_level_has_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    from pock_ir.dialects.levels import LEVELS

    for level in LEVELS:
        assert f"\n  {level.name:6} " in text
