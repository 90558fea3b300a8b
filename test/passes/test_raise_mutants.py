"""Forms with one thing changed: whatever is raised then still computes what the graph says.

Every dim is 4, so that another axis, another permutation and another value fit as well.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from raising_activations import ACTIVATIONS
from raising_forms import (
    attend,
    batch_norm,
    causal,
    causal_added,
    cut,
    flax_attention,
    given_norm,
    jax_layer_norm,
    jax_softmax,
    keras_jax_norm,
    keras_norm,
    log_softmax,
    log_sum_exp,
    normalized,
    rms,
    softmax,
    softmax_by_reciprocal,
    sum_over_count,
)
from raising_graphs import Graph, T, gradients
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import (
    AddOp,
    BinaryOp,
    ClampOp,
    CompareOp,
    DivOp,
    ExpOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    SigmoidOp,
    SquareOp,
    SubOp,
    TanhOp,
)
from pock_ir.dialects.reduce import MaxOp, MeanOp, ReduceOp, SumOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp, TransposeOp
from pock_ir.interpret import run_function
from pock_ir.op import attribute, integer, ints, number
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.verify import verify_module

CUBE, ROW, HEADS = (4, 4, 4), (4,), (4, 4, 4, 4)
FORMS = {
    "softmax": Graph(softmax, [CUBE]),
    "softmax of jax": Graph(jax_softmax, [CUBE]),
    "softmax by reciprocal": Graph(softmax_by_reciprocal, [CUBE]),
    "log softmax": Graph(log_softmax, [CUBE]),
    "logsumexp": Graph(lambda x: x - log_sum_exp(x), [CUBE]),
    "guarded logsumexp": Graph(lambda x: x - log_sum_exp(x, True), [CUBE]),
    "layer norm": Graph(lambda x, g, b: normalized(x, -1) * g + b, [CUBE, ROW, ROW]),
    "layer norm of jax": Graph(jax_layer_norm, [CUBE, ROW, ROW]),
    "layer norm of keras": Graph(lambda x, g, b: keras_norm(x, g, b, -1), [CUBE, ROW, ROW]),
    "keras on jax": Graph(lambda x, g, b: keras_jax_norm(x, g, b, -1), [CUBE, ROW, ROW]),
    "batch norm": Graph(batch_norm, [HEADS, ROW, ROW]),
    "batch norm of keras": Graph(lambda x, g, b: keras_jax_norm(x, g, b, 0, 1), [CUBE, ROW, ROW]),
    "given statistics": Graph(given_norm, [CUBE, *[ROW] * 4]),
    "rms norm": Graph(lambda x, g: g * rms(x), [CUBE, ROW]),
    "mean": Graph(lambda x: sum_over_count(x, 0, 2), [CUBE]),
    "attention": Graph(attend, [HEADS] * 3),
    "attention of flax": Graph(flax_attention, [HEADS] * 3),
    "causal": Graph(causal, [HEADS] * 3),
    "causal, added": Graph(causal_added, [HEADS] * 3),
    "mask from data": Graph(cut, [HEADS, HEADS, HEADS, ((4, 4), "i1")]),
} | {name: Graph(form, [CUBE]) for name, (form, _) in ACTIVATIONS.items()}

ALIKE = (
    (AddOp, SubOp, MulOp, DivOp, MaximumOp, MinimumOp),
    (ExpOp, NegOp, SigmoidOp, SquareOp, TanhOp),
    (MaxOp, MeanOp, SumOp),
)
PREDICATES = ("lt", "le", "gt", "ge", "eq", "ne")


def mutate(module: ModuleOp, random: Random) -> None:
    """Change one op of @f."""
    (function,) = module.ops
    ops = list(function.body.block.ops)[:-1]
    while not _change(random.choice(ops), [*function.body.block.args], ops, random):
        pass


def _change(op: Operation, arguments: list, ops: list[Operation], random: Random) -> bool:
    kind = random.random()
    if isinstance(op, ConstantOp):
        factor = random.choice((0.5, 1.001, 2.0, -1.0))
        return _set(op, value=_scaled(op, factor))
    if isinstance(op, IotaOp) and kind < 0.5:
        return _set(op, axis=1 - integer(op.axis))
    if isinstance(op, CompareOp) and kind < 0.5:
        return _set(op, predicate=random.choice(PREDICATES))
    if isinstance(op, ClampOp) and kind < 0.5:
        return _set(op, max=number(op.max) + random.choice((-1.0, 0.5)))
    if isinstance(op, ReduceOp | BroadcastOp) and kind < 0.4:
        rank = len(op.x.type.get_shape()) if isinstance(op, ReduceOp) else len(ints(op.shape))
        return _set(op, axes=sorted(random.sample(range(rank), len(ints(op.axes)))))
    if isinstance(op, TransposeOp) and kind < 0.6:
        order = list(ints(op.permutation))
        random.shuffle(order)
        return _set(op, permutation=order)
    if isinstance(op, BinaryOp) and kind < 0.3:
        op.operands = list(reversed(op.operands))
        return True
    if kind < 0.6:
        return _replaced(op, random)
    return _rewired(op, arguments, ops, random)


def _scaled(op: ConstantOp, factor: float) -> float | int:
    value = op.number()
    return float(value) * factor if isinstance(value, float) else value + 1


def _set(op: Operation, **properties) -> bool:
    """Give `op` other properties if its type stays."""
    before = dict(op.properties)
    op.properties |= {key: attribute(value) for key, value in properties.items()}
    try:
        fits = list(op.infer()) == list(op.result_types)
    except VerifyException:  # a mutation that the op refuses is none
        fits = False
    if not fits:
        op.properties = before
    return fits and op.properties != before


def _replaced(op: Operation, random: Random) -> bool:
    """Another op of the same form."""
    for family in ALIKE:
        if type(op) in family:
            other = random.choice(family)
            new = other.create(
                operands=op.operands, properties=op.properties, result_types=op.result_types
            )
            block = op.parent
            block.insert_op_before(new, op)
            op.results[0].replace_all_uses_with(new.results[0])
            block.erase_op(op)
            return True
    return False


def _rewired(op: Operation, arguments: list, ops: list[Operation], random: Random) -> bool:
    """Another value of the same type as an operand."""
    if not op.operands:
        return False
    index = random.randrange(len(op.operands))
    before: list[SSAValue] = [*arguments]
    for earlier in ops[: ops.index(op)]:
        before += earlier.results
    fitting = [v for v in before if v.type == op.operands[index].type]
    fitting = [v for v in fitting if v is not op.operands[index]]
    if not fitting:
        return False
    op.operands[index] = random.choice(fitting)
    return True


MUTANTS = 5
"""For each form."""


@pytest.mark.parametrize("name", FORMS)
def test_mutants(name: str) -> None:
    graph = FORMS[name]
    arrays = graph.arrays("f64")
    for seed in range(MUTANTS):
        module = graph.module("f64")
        for action in (CanonicalizePass(), SimplifyPass()):
            action.apply(make_context(), module)
        mutate(module, Random(f"{name} {seed}"))
        verify_module(module)
        raised = module.clone()
        RaiseOpsPass().apply(make_context(), raised)
        verify_module(raised)
        with np.errstate(all="ignore"):
            pairs = [
                *zip(*(run_function(m, "f", arrays) for m in (module, raised)), strict=True),
                *zip(*(gradients(m, arrays) for m in (module, raised)), strict=True),
            ]
        # Where the decomposed form overflows or divides 0 by 0, the whole op may differ.
        if all(np.isfinite(before).all() for before, _ in pairs):
            for before, after in pairs:
                scale = 1e-9 * max(1.0, float(np.max(np.abs(before))))
                np.testing.assert_allclose(after, before, 1e-7, scale, err_msg=str(seed))


def test_forms_are_raised_without_a_change() -> None:
    """The mutants are those of graphs that are raised."""
    for name, graph in FORMS.items():
        before = list(graph.module().walk())
        assert len(list(graph.raised().walk())) < len(before), name


def test_mutation_changes_something() -> None:
    graph = Graph(lambda x: T(x.emit, x.value) * 2.0, [CUBE])
    module = graph.module()
    text = str(module)
    mutate(module, Random(0))
    assert str(module) != text
