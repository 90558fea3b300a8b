"""The worker protocol, and a program measured as a process of its own."""

import sys

import numpy as np
import pytest

from pock.measure import MEASURING_RATE, Worker, build_driver, in_turns
from pock_ir.diagnostics import PockError

# Answers as a worker does: seconds, processor seconds, loss (its argument), peak and start memory.
FAKE = (
    "import sys\n"
    "for steps in map(int, sys.stdin):\n"
    "    print(0.001 * steps, 0.002 * steps, sys.argv[1], 2000, 1000, flush=True)\n"
)


def fake(loss):
    return Worker([sys.executable, "-c", FAKE, str(loss)])


def test_workers_take_turns():
    with fake(2.0) as ours, fake(2.0001) as theirs:
        comparison = in_turns(ours, theirs, 3)
    assert comparison.turns == 3
    assert comparison.own_ms == pytest.approx(1.0)
    assert comparison.own_cpu_ms == pytest.approx(2.0)
    assert comparison.ratio == pytest.approx(1.0)
    assert (comparison.own_kib, comparison.other_start_kib) == (2000, 1000)


def test_different_losses_are_refused():
    with fake(2.0) as ours, fake(2.1) as theirs, pytest.raises(PockError, match="not do the same"):
        in_turns(ours, theirs, 1)


def test_a_loss_that_is_no_number_is_refused():
    with fake("nan") as ours, fake("nan") as theirs, pytest.raises(PockError):
        in_turns(ours, theirs, 1)


def test_a_worker_that_ends_is_refused():
    with Worker([sys.executable, "-c", ""]) as worker, pytest.raises(PockError, match="ended"):
        worker.run(1)


def test_the_driver_trains_as_the_session_does(tmp_path):
    torch = pytest.importorskip("torch")
    import pock
    from pock.zoo.mlp import mlp

    torch.manual_seed(0)
    x, y = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    program = pock.compile(mlp(8, 16, 3), (x,), y, optimizer=pock.SGD(lr=0.5), name="small")
    with Worker(build_driver(program, [x.numpy(), y.numpy()], tmp_path)) as worker:
        turns = [worker.run(1), worker.run(2)]
    program.learning_rate = MEASURING_RATE
    losses = [program.step(x, y) for _ in range(3)]
    np.testing.assert_allclose([t.loss for t in turns], [losses[0], losses[2]], rtol=1e-6)
    # Less than a page table of Python: the driver is no Python process.
    assert 0 < turns[1].peak_kib < 16_000
