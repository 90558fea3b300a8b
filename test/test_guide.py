"""docs/guide-new-op.md works as written: three edits, and the op trains in C."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
GUIDE = REPOSITORY / "docs" / "guide-new-op.md"
BLOCK = re.compile(r"```python\n# (\S+)\n(.*?)```", re.DOTALL)
FOLDERS = ("pock_ir", "dialects", "passes", "lowering", "targets", "pock", "tools", "test")

# Softsign between two layers, trained on one batch; first checked against central differences.
TRAIN = '''
import numpy as np
from pock.pipeline import training_pipeline
from pock.program import Program
from pock_ir.dialects import make_context
from pock_ir.parse import parse_module
from pock_ir.passes.optimizer import SGD
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.targets.c.program.files import program_files
from pock_ir.targets.c.program.read import read_layout
import pock_ir.targets

TEXT = """
builtin.module attributes {pock.name = "net", pock.level = "nn", pock.target = "c"} {
  func.func @train(
    %w: tensor<4x4xf32> {pock.kind = "parameter", pock.name = "w"},
    %x: tensor<8x4xf32> {pock.kind = "input", pock.name = "x"},
    %t: tensor<8x4xf32> {pock.kind = "target", pock.name = "t"}
  ) -> (tensor<f32> {pock.kind = "loss"}) {
    %a = nn.linear %x, %w {weight_layout = "oi"}
      : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
    %y = nn.softsign %a : (tensor<8x4xf32>) -> tensor<8x4xf32>
    %d = nn.sub %y, %t : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<8x4xf32>
    %s = nn.square %d : (tensor<8x4xf32>) -> tensor<8x4xf32>
    %loss = nn.mean %s {axes = array<i64: 0, 1>} : (tensor<8x4xf32>) -> tensor<f32>
    func.return %loss : tensor<f32>
  }
}
"""
rng = np.random.default_rng(0)
x, w, other = (rng.standard_normal(s) for s in ((8, 4), (4, 4), (4, 4)))
softsign = lambda a: a / (1 + np.abs(a))
target = softsign(x @ other.T)
loss = lambda w: float(np.mean((softsign(x @ w.T) - target) ** 2))
gradient = np.zeros((4, 4))
for index in np.ndindex(4, 4):
    step = np.zeros((4, 4))
    step[index] = 1e-6
    gradient[index] = (loss(w + step) - loss(w - step)) / 2e-6

module = parse_module(make_context(), TEXT, "net.mlir")
training_pipeline(ApplySchemePass("full"), SGD(lr=1.0).to_pass()).run(make_context(), module)
layout = read_layout(module, 1.0, {})
weights = {"w": w.astype(np.float32)}
program = Program(layout, program_files(layout, weights, 0), None)
arrays = x.astype(np.float32), target.astype(np.float32)
losses = [program.step(*arrays)]
updated = program.session.arrays()["w"]
np.testing.assert_allclose(losses[0], loss(w), rtol=1e-5)
np.testing.assert_allclose(updated, w - gradient, rtol=1e-4, atol=1e-6)
losses += [program.step(*arrays) for _ in range(200)]
assert losses[-1] < 0.2 * losses[0], (losses[0], losses[-1])
'''


def edits() -> list[tuple[str, str]]:
    """File and appended text of each block of the guide."""
    return BLOCK.findall(GUIDE.read_text(encoding="utf-8"))


@pytest.fixture
def checkout(tmp_path):
    """A copy of the compiler, with the guide's edits."""
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, symlinks=True, ignore=ignored)
    for name, text in edits():
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path


def run_in(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # The copy comes before the installed package on the path.
    path = os.pathsep.join([str(checkout), str(checkout / "test")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=checkout, env=environment, capture_output=True, text=True
    )


def test_the_guide_edits_three_files():
    assert [name for name, _ in edits()] == [
        "dialects/elementwise.py",
        "passes/autodiff/rules/elementwise.py",
        "test/samples/elementwise.py",
    ]


def test_the_op_of_the_guide_trains_in_c_and_is_complete(checkout):
    (checkout / "train.py").write_text(TRAIN, encoding="utf-8")
    trained = run_in(checkout, "train.py")
    assert trained.returncode == 0, trained.stderr
    tests = [f"test/dialects/test_{name}.py" for name in ("completeness", "round_trip")]
    options = ["-q", "-k", "softsign", "-p", "no:cacheprovider"]
    tested = run_in(checkout, "-m", "pytest", *options, *tests, "test/autodiff/test_gradients.py")
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert " passed" in tested.stdout


def test_a_forgotten_gradient_is_named(checkout):
    rules = checkout / "passes" / "autodiff" / "rules" / "elementwise.py"
    shutil.copy(REPOSITORY / "passes" / "autodiff" / "rules" / "elementwise.py", rules)
    options = ["-q", "-k", "softsign", "-p", "no:cacheprovider"]
    tested = run_in(checkout, "-m", "pytest", *options, "test/dialects/test_completeness.py")
    assert tested.returncode == 1
    assert "nn.softsign has no gradient rule or refusal" in tested.stdout
