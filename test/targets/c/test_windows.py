"""Which taps meet which positions, and the blocks of a row."""

from hypothesis import given
from hypothesis import strategies as st

from pock_ir.targets.c.kernels.windows import Line, runs


@st.composite
def lines(draw: st.DrawFn) -> Line:
    kernel, stride, dilation, low = (draw(st.integers(1, 4)) for _ in range(4))
    size = draw(st.integers(1, 30)) + dilation * (kernel - 1)
    output = (size + 2 * low - dilation * (kernel - 1) - 1) // stride + 1
    return Line(size, output, kernel, stride, dilation, low)


@given(lines())
def test_backward_is_the_transpose_of_forward(line: Line) -> None:
    forward = {(o, k, at) for o in range(line.output) for k, at in line.forward(o)}
    backward = {(o, k, at) for at in range(line.size) for k, o in line.backward(at)}
    assert forward == backward


@given(lines(), st.integers(1, 8))
def test_runs_restate_what_meets(line: Line, most: int) -> None:
    for outputs, multiple, meets in (
        (line.output, 1, line.forward),
        (line.size, line.stride, line.backward),
    ):
        found = set()
        for run in runs(outputs, most, multiple, meets):
            for j in range(run.count):
                start = run.output + j * run.block.size
                for i, tap, at in run.block.meets:
                    found.add((start + i, tap, run.input + j * run.advance + at))
        assert found == {(o, k, at) for o in range(outputs) for k, at in meets(o)}
