"""The kernels for every op: samples and fused bodies against their meaning, on every C target."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from batch import Case, run_batch, run_batch_sanitized
from bodies import BODIES
from harness import random_arrays
from samples import Sample, all_samples
from xdsl.dialects.builtin import UnknownLoc
from xdsl.ir import Block

from pock_ir.dialects import all_ops
from pock_ir.dialects.kern import CallOp, YieldOp
from pock_ir.interpret import evaluate_op, run_block
from pock_ir.op import PockOp
from pock_ir.target import Target, target_named
from pock_ir.types import Array, dtype_of

TARGETS = ("c", "x86-64-v3", "x86-64-v4")

# Kernels with tests of their own run the same samples there.
GENERIC = (
    *("adam_correction", "avg_pool2d", "avg_pool2d_grad", "axis_map", "concat", "cumsum"),
    *("conv_grad_input_plain", "gather", "scatter_add", "take_along_axis_grad"),
    *("conv_grad_weight_plain", "conv_plain", "cross_entropy", "embedding", "embedding_grad"),
    *("empty", "map", "max_pool2d", "max_pool2d_grad", "pad", "recurrent_cell", "reduce", "rows"),
    "transpose",
)

TOLERANCE = 5e-6
# x is 1000 times as large as its deviations, so that x - mean keeps three digits less.
LOOSE = {"nn.batch_norm-far": 3e-4}


def call_of_sample(sample: Sample) -> CallOp:
    """A call whose body is the sample's op."""
    block = Block(arg_types=sample.types())
    op = sample.op_type.make(*block.args, **sample.properties)
    block.add_ops([op, YieldOp.create(operands=list(op.results))])
    return CallOp.of(list(Block(arg_types=sample.types()).args), block, UnknownLoc())


def is_computed(call: CallOp) -> bool:
    """Whether all floats are f32 or f64, the only ones that the C targets compute with."""
    values = [*call.operands, *call.results]
    return all(dtype_of(v).name not in ("f16", "bf16") for v in values)


@cache
def sample_cases(target: Target, in_place: bool) -> list[Case]:
    """Every sample with every generic kernel that takes it."""
    cases: list[Case] = []
    for sample in all_samples():
        for name in GENERIC:
            call = call_of_sample(sample)
            if is_computed(call) and target.kernel(name).matches(call, target):
                cases.append(Case(str(sample), call, name, sample.arrays(), in_place))
    return cases


def body_cases(in_place: bool = False) -> list[Case]:
    cases: list[Case] = []
    for body in BODIES:
        call = body.call()
        cases.append(Case(body.id, call, body.kernel, random_arrays(call), in_place))
    return cases


def wanted(case: Case) -> list[Array]:
    """What the ops mean, from copies: an in-place kernel overwrites its operands."""
    with np.errstate(all="ignore"):
        return run_block(case.call.body.block, [array.copy() for array in case.arrays])


def expect_wanted(cases: Sequence[Case], found: Sequence[Sequence[Array]]) -> None:
    for case, results in zip(cases, found, strict=True):
        tolerance = LOOSE.get(case.id, TOLERANCE)
        for index, pair in enumerate(zip(results, wanted(case), strict=True)):
            assert is_close(*pair, tolerance), f"{case.id} by {case.kernel}, result {index}: {pair}"


def is_close(found: Array, expected: Array, tolerance: float) -> bool:
    """Equal (NaN and inf too), or within `tolerance` of the largest finite element."""
    # A result in an operand's memory still has the operand's shape.
    a, b = found.reshape(expected.shape).astype(np.float64), expected.astype(np.float64)
    scale = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= tolerance * scale
    return bool(np.all((a == b) | (np.isnan(a) & np.isnan(b)) | near))


@pytest.mark.parametrize("name", TARGETS)
def test_every_op_has_a_kernel(name: str) -> None:
    target = target_named(name)
    lacking: dict[str, list[str]] = {}
    for sample in all_samples():
        call = call_of_sample(sample)
        if is_computed(call) and not any(kernel.matches(call, target) for kernel in target.kernels):
            lacking.setdefault(sample.op_type.name, []).append(sample.id)
    assert not lacking
    sampled = {sample.op_type for sample in all_samples()}
    ops = [op for op in all_ops() if issubclass(op, PockOp) and op.name[:3] in ("nn.", "tra")]
    assert not [op.name for op in ops if op not in sampled]


@pytest.mark.parametrize("name", ["c", "x86-64-v4"])
def test_samples(name: str) -> None:
    target = target_named(name)
    cases = sample_cases(target, False)
    expect_wanted(cases, run_batch(cases, target, optimize="-O2" if name == "x86-64-v4" else "-O1"))


def test_samples_in_place() -> None:
    target = target_named("x86-64-v4")
    cases = [
        case
        for case in sample_cases(target, True)
        if max(target.kernel(case.kernel).reuses(case.call, target)) >= 0
    ]
    assert cases
    expect_wanted(cases, run_batch(cases, target, optimize="-O1"))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("in_place", [False, True], ids=["apart", "in place"])
def test_fused_bodies(name: str, in_place: bool) -> None:
    target = target_named(name)
    cases = body_cases(in_place)
    expect_wanted(cases, run_batch(cases, target, optimize="-O3"))


def test_nothing_is_read_or_written_out_of_bounds() -> None:
    target = target_named("x86-64-v4")
    cases = [*sample_cases(target, False), *body_cases(), *body_cases(in_place=True)]
    expect_wanted(cases, run_batch_sanitized(cases, target))


def test_plain_bodies_stay_in_bounds() -> None:
    target = target_named("c")
    cases = [*body_cases(), *body_cases(in_place=True)]
    expect_wanted(cases, run_batch_sanitized(cases, target))


@pytest.mark.skipif(shutil.which("clang-19") is None, reason="clang-19 is not installed")
def test_samples_by_clang() -> None:
    target = target_named("x86-64-v3")
    cases = [*sample_cases(target, False), *body_cases()]
    expect_wanted(cases, run_batch(cases, target, compiler="clang-19", optimize="-O1"))


def test_samples_are_evaluated_as_the_interpreter_does() -> None:
    sample = next(s for s in all_samples() if s.op_type.name == "nn.softmax")
    case = Case(str(sample), call_of_sample(sample), "rows", sample.arrays())
    assert np.array_equal(wanted(case)[0], evaluate_op(sample.op(), sample.arrays())[0])
