"""Loops IR of the generic kernels: it verifies, prints and parses; parts; the C emitter's table."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from batch import Case, run_batch
from bodies import BODIES
from harness import call_of, random_arrays
from samples import all_samples
from test_generic_kernels import call_of_sample, is_computed
from xdsl.dialects import arith, func, math, scf
from xdsl.dialects.builtin import FunctionType, ModuleOp, f32
from xdsl.ir import Block, Region

from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import AddOp, ExpOp, GeluOp, MulOp, ReluOp
from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.layer_norm import LayerNormGradParamsOp, LayerNormOp
from pock_ir.dialects.loss import CrossEntropyGradOp, CrossEntropyOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.norm import BatchNormOp
from pock_ir.dialects.optimizer import AdamOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import BroadcastOp, TransposeOp
from pock_ir.dialects.softmax import SoftmaxOp
from pock_ir.lowering.loops.build import declarations
from pock_ir.parse import parse_module, print_module
from pock_ir.target import target_named
from pock_ir.targets.c.emit_loops import RULES, loops_to_c
from pock_ir.targets.c.kernels.loops import LoopKernel
from pock_ir.targets.c.prelude import prelude
from pock_ir.targets.c.scalar_c import BodyEmitter, float_literal
from pock_ir.types import Tensor, tensor
from pock_ir.verify import verify_module


def loop_kernels(call: CallOp, name: str) -> list[LoopKernel]:
    target = target_named(name)
    offers = [kernel for kernel in target.kernels if isinstance(kernel, LoopKernel)]
    return [kernel for kernel in offers if kernel.matches(call, target)]


@pytest.mark.parametrize("name", ["c", "x86-64-v4"])
def test_loops_verify_print_and_parse(name: str) -> None:
    """One function per kernel, all in one module, as mem-to-loops makes it."""
    target, context = target_named(name), make_context()
    calls = [call_of_sample(sample) for sample in all_samples()] + [b.call() for b in BODIES]
    functions = [
        kernel.function(call, target, f"k{number}_{kernel.name}")
        for number, call in enumerate(calls)
        if is_computed(call)
        for kernel in loop_kernels(call, name)
    ]
    assert len(functions) > 100
    module = ModuleOp([*declarations(functions), *functions])
    verify_module(module)
    text = print_module(module)
    assert print_module(parse_module(context, text, "loops")) == text
    used = {type(op) for function in functions for op in function.walk()} - {func.FuncOp}
    assert used <= RULES.keys()


def f(*shape: int) -> Tensor:
    return tensor(shape)


LABELS, SCALAR = tensor((3000,), "i64"), tensor((), "i32")
ADAM = {"decoupled": True, "eps_before_correction": False}
UPDATE = {"weight_decay": 0.1, "axis": 0, "begin": 0, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
LOSS = {"ignore_index": 1, "reduction": "mean", "label_smoothing": 0.1}
# Large enough that sharing pays, and of sizes that no unit of work divides.
SHARED = {
    "map": (GeluOp, [f(333, 1001)], {"approximation": "none"}),
    "map of one row": (ExpOp, [f(1, 300001)], {}),
    "dropout": (DropoutOp, [f(333, 1001), SCALAR, SCALAR], {"p": 0.5, "stream": 3}),
    "adam": (AdamOp, [*[f(333, 1001)] * 4, f(), f(), f()], {**UPDATE, **ADAM}),
    "columns": (SumOp, [f(1501, 333)], {"axes": [0]}),
    "rows": (SumOp, [f(1501, 333)], {"axes": [1]}),
    "softmax": (SoftmaxOp, [f(501, 333)], {"axis": 1}),
    "layer norm": (LayerNormOp, [f(1501, 333), f(333), f(333)], {"axis": 1, "eps": 1e-5}),
    "layer norm parameters": (
        LayerNormGradParamsOp,
        [*[f(1501, 333)] * 2, f(1501), f(1501)],
        {"axis": 1},
    ),
    "batch norm": (BatchNormOp, [f(5, 33, 1501), f(33), f(33)], {"axis": 1, "eps": 1e-5}),
    "cross entropy": (CrossEntropyOp, [f(3000, 101), LABELS], LOSS),
    "cross entropy gradient": (CrossEntropyGradOp, [f(3000, 101), LABELS, f(3000), f()], LOSS),
    "transpose": (TransposeOp, [f(7, 333, 501)], {"permutation": [0, 2, 1]}),
}


def test_two_parts_give_the_bits_of_one() -> None:
    """In either order; a kernel that cannot be shared out has one part."""
    one = target_named("x86-64-v3")
    two = one.with_threads(2)
    cases: list[Case] = []
    for id, (kind, types, properties) in SHARED.items():
        call = call_of(kind, types, properties)
        kernel = min(
            (k for k in two.kernels if k.matches(call, two)), key=lambda k: k.seconds(call, two)
        )
        assert kernel.parts(call, one) == 1
        assert kernel.parts(call, two) == (1 if id == "cross entropy" else 2), id
        cases.append(Case(id, call, kernel.name, random_arrays(call)))
    alone = run_batch(cases, one)
    for found in (run_batch(cases, two), run_batch(cases, two, backwards=True)):
        for case, have, want in zip(cases, found, alone, strict=True):
            same = all(
                np.array_equal(a, b, equal_nan=True) for a, b in zip(have, want, strict=True)
            )
            assert same, case.id


def test_softmax_keeps_its_exponentials() -> None:
    """The second pass stores exp(x - max) in the result, the third scales it there."""
    target = target_named("c")
    call = call_of(SoftmaxOp, [f(4, 9)], {"axis": 1})
    function = target.kernel("rows").function(call, target, "k")
    assert sum(isinstance(op, math.ExpOp) for op in function.walk()) == 4 + 1  # unrolled, rest


def test_row_values_are_computed_outside_of_the_inner_loop() -> None:
    """gamma / sqrt(variance + eps) of a channel of NCHW: no division in a loop over H and W."""
    target = target_named("x86-64-v4")
    call = call_of(BatchNormOp, [f(2, 3, 5, 16), f(3), f(3)], {"axis": 1, "eps": 1e-5})
    function = target.kernel("rows").function(call, target, "k")
    divisions = [op for op in function.walk() if isinstance(op, arith.DivfOp)]
    assert divisions
    for op in divisions:
        loop = op.parent_op()
        assert isinstance(loop, scf.ForOp) and isinstance(loop.parent_op(), func.FuncOp)


def test_an_op_without_c_text_is_named() -> None:
    block = Block(arg_types=[f32])
    block.add_ops([math.AcosOp(block.args[0]), func.ReturnOp()])
    function = func.FuncOp("k", FunctionType.from_lists([f32], []), Region(block))
    with pytest.raises(PockError, match=r"math\.acos has no C text"):
        loops_to_c(function, target_named("c"), ["x"])


def test_body_emitter_writes_scalars_and_vectors() -> None:
    def epilogue(emit, values):
        total = emit(AddOp, values[0], emit(BroadcastOp, values[3], shape=[4, 32], axes=[1]))
        return [emit(ReluOp, emit(MulOp, total, total))]

    weights = {"weight_layout": "io"}
    call = call_of(LinearOp, [f(4, 8), f(8, 32)], weights, epilogue, [f(32)])
    ops = list(call.body.block.ops)
    known = {ops[0].results[0]: "x", ops[1].results[0]: "bias"}
    emitter = BodyEmitter(call, target_named("x86-64-v4"), prefix="e")
    lines, results = emitter.statements(known, ops[-1].operands, 16)
    assert lines[:2] == ["const pock_vf e1 = x + bias;", "const pock_vf e2 = e1 * e1;"]
    again, later = emitter.statements(known, ops[-1].operands, 1)
    assert again[0] == "const float e5 = x + bias;"
    assert results != later
    with pytest.raises(ValueError, match="no registers of 8"):
        emitter.statements(known, ops[-1].operands, 8)


def test_body_emitter_names_what_is_not_elementwise() -> None:
    shape = f(1, 2, 4, 8)
    properties = {"layout": "bthd", "scale": 1.0, "causal": False, "mask": "none"}
    properties["masked_rows"] = "zero"
    call = call_of(AttentionOp, [shape] * 3, {**properties, "dropout": 0.0, "stream": 0})
    emitter = BodyEmitter(call, target_named("c"))
    with pytest.raises(PockError, match=r"nn\.attention is not elementwise"):
        emitter.statements({}, list(call.body.block.first_op.results), 1)


@pytest.mark.parametrize("value", [0.1, 1e-45, 3.4e38, 1.0, -2.5, 16777217.0, 1e-05])
def test_literals_read_back_exactly(value: float) -> None:
    text = float_literal(value)
    assert np.float32(text.removesuffix("f")) == np.float32(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text) and ("." in text or "e" in text)


def test_inner_loops_are_vector_code(tmp_path: Path) -> None:
    """No calls, no scalar division or square root; whole registers are loaded."""
    target = target_named("x86-64-v4")
    call = call_of(GeluOp, [f(64, 64)], {"approximation": "none"})
    text = prelude(target) + target.kernel("map").emit(call, target, "k")
    text += "\nvoid run(const float *a, float *r);\nvoid run(const float *a, float *r)\n"
    source = tmp_path / "map.c"
    source.write_text(text + "{ k(a, r, 0, 0); }\n")
    command = ["gcc", "-std=c11", "-O2", *target.compile_flags, "-S", str(source), "-o", "-"]
    assembly = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "call" not in assembly
    assert "zmm" in assembly and not re.search(r"\bv(div|sqrt|mul|add)ss\b", assembly)


def chain(length: int) -> CallOp:
    """x -> gelu(gelu(... x)), `length` times; each is ten nodes deep."""

    def epilogue(emit, values):
        value = values[0]
        for _ in range(length - 1):
            value = emit(GeluOp, value, approximation="tanh")
        return [value]

    return call_of(GeluOp, [f(20)], {"approximation": "tanh"}, epilogue)


def test_long_bodies_need_no_deep_recursion() -> None:
    """The longest body that is taken, and an epilogue of any length."""
    target = target_named("x86-64-v4")
    call = chain(119)
    assert "pock_vtanh" in target.kernel("map").emit(call, target, "k")
    assert not target.kernel("map").matches(chain(150), target)
    call = chain(2000)
    results = call.body.block.last_op.operands
    lines, _ = BodyEmitter(call, target).statements({call.body.block.args[0]: "x"}, results, 1)
    assert sum("pock_tanh" in line for line in lines) == 2000
