"""Refusals: exact messages, and no exception of another kind whatever the properties."""

import random

import pytest
from negatives import NEGATIVES, TEXTS
from samples import all_samples
from xdsl.dialects.builtin import DYNAMIC_INDEX, FloatAttr, IntegerAttr, f64, i1, i64
from xdsl.ir import Block
from xdsl.utils.exceptions import VerifyException

from pock_ir.diagnostics import PockError
from pock_ir.dialects import all_ops, make_context
from pock_ir.op import attribute
from pock_ir.parse import parse_module
from pock_ir.types import DTYPES, tensor


@pytest.mark.parametrize("negative", NEGATIVES, ids=str)
def test_refused(negative):
    block = Block(arg_types=negative.types)
    with pytest.raises(VerifyException) as caught:
        negative.op_type.make(*block.args, **negative.properties)
    assert str(caught.value) == f"{negative.op_type.name}: {negative.message}"


def test_the_checks_of_every_op_are_tested():
    # An op without checks of its own is tested through another op with the same `infer`.
    tested = {negative.op_type.infer for negative in NEGATIVES}
    ops = [op for op in all_ops() if op.name.startswith(("nn.", "train."))]
    assert [op.name for op in ops if op.infer not in tested] == []


@pytest.mark.parametrize("text, message", TEXTS)
def test_refused_as_text(text, message):
    body = f"func.func @main(%x: tensor<4xf32>) {{\n{text}\nfunc.return\n}}"
    with pytest.raises(PockError) as caught:
        parse_module(make_context(), body, "net.mlir")
    assert message in str(caught.value)
    assert str(caught.value).startswith(("net.mlir:2:", "net.mlir:3:"))


HOSTILE_INTEGERS = (0, 1, -1, 2, 3, 4, 7, -(2**63), 2**63 - 1, 2**32)
HOSTILE_NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e308, float("nan"), float("inf"), -float("inf"))
HOSTILE_WORDS = ("", "mean", "nhwc", "hwio", "none", "boolean", "\x00", "f32", "io", "bthd", "tanh")
HOSTILE_TYPES = (tensor((2, 3)), tensor(()), tensor((DYNAMIC_INDEX,)), tensor((0, 2**40), "i1"))


def mutated(rng, value):
    """Another attribute of the kind of `value`."""
    value = attribute(value)
    if isinstance(value, IntegerAttr):
        choice = rng.choice(HOSTILE_INTEGERS)
        return IntegerAttr(choice % 2, i1) if value.type == i1 else IntegerAttr(choice, i64)
    if isinstance(value, FloatAttr):
        return FloatAttr(rng.choice(HOSTILE_NUMBERS), f64)
    if value.name == "string":
        return attribute(rng.choice(HOSTILE_WORDS))
    if value.name == "array":
        return attribute([rng.choice(HOSTILE_INTEGERS) for _ in range(rng.randrange(6))])
    return rng.choice(HOSTILE_TYPES)


def mutated_type(rng, type):
    sizes = list(type.get_shape())
    kind = rng.randrange(4)
    if kind == 0 and sizes:
        sizes[rng.randrange(len(sizes))] = rng.choice((0, 1, 2, 2**31, 2**62, DYNAMIC_INDEX))
    if kind == 1:
        sizes = [rng.choice((0, 1, 2, 5)) for _ in range(rng.randrange(6))]
    if kind == 2:
        return tensor(sizes, rng.choice(DTYPES).type)
    return tensor(sizes, type.element_type)


# Small enough for seconds, large enough that each check of each op is reached.
MUTATIONS = 12


@pytest.mark.parametrize("sample", all_samples(), ids=str)
def test_hostile_forms_are_refused_or_consistent(sample):
    rng = random.Random(str(sample))
    for _ in range(MUTATIONS):
        types, properties = sample.types(), dict(sample.properties)
        for _ in range(rng.randrange(1, 3)):
            if types and rng.random() < 0.5:
                index = rng.randrange(len(types))
                types[index] = mutated_type(rng, types[index])
            elif properties:
                name = rng.choice(sorted(properties))
                properties[name] = mutated(rng, properties[name])
        block = Block(arg_types=types)
        try:
            op = sample.op_type.make(*block.args, **properties)
        except VerifyException:
            continue
        op.verify_()
        assert op.flops() >= 0
        op.drop_all_references()
