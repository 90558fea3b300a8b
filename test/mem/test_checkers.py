"""Each checker accepts what the passes make and refuses every mutation of it."""

from random import Random

import pytest
from programs import (
    TO_KERN,
    TO_MEMORY,
    Program,
    apply,
    assert_same,
    inputs_of,
    random_module,
    run_memory,
    run_values,
)
from xdsl.dialects.builtin import ModuleOp, StringAttr

from pock_ir.diagnostics import PockError
from pock_ir.dialects import mem
from pock_ir.dialects.elementwise import AddOp, TanhOp
from pock_ir.dialects.kern import CallOp, reuses_of, updates_of
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.optimizer import SgdOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.interpret import find_function
from pock_ir.op import attribute, integer, ints
from pock_ir.passes.check_kernels import check_kernels
from pock_ir.passes.check_memory import check_memory
from pock_ir.passes.check_order import check_order
from pock_ir.passes.fuse import FusePass

UNFUSED_TO_KERN = tuple(action for action in TO_KERN if not isinstance(action, FusePass))
UNFUSED = tuple(action for action in TO_MEMORY if not isinstance(action, FusePass))


def step() -> ModuleOp:
    """A step with a residual sum, an update in place and a later reader of the old weight."""
    program = Program(Random(0))
    x, w, rate = program.named("x"), program.named("w"), program.named("rate")
    h = program.emit(LinearOp, x, w, weight_layout="oi")
    y = program.emit(AddOp, program.emit(TanhOp, h), x)
    loss = program.emit(SumOp, y, axes=[0, 1])
    g = program.emit(LinearOp, y, w, weight_layout="io")
    new = program.emit(SgdOp, w, g, rate, weight_decay=0.0, axis=0, begin=0)
    program.returned("loss", "loss", loss)
    program.returned("update", "w", new)
    program.returned("output", "old", program.emit(LinearOp, g, w, weight_layout="oi"))
    return program.module()


def calls(module: ModuleOp) -> list[CallOp]:
    block = find_function(module, "train_step").body.block
    return [op for op in block.ops if isinstance(op, CallOp)]


def memory_calls(module: ModuleOp) -> list[mem.CallOp]:
    block = find_function(module, "train_step").body.block
    return [op for op in block.ops if isinstance(op, mem.CallOp)]


def updating(module: ModuleOp) -> CallOp:
    return next(call for call in calls(module) if max(updates_of(call)) >= 0)


# check-order


def test_an_update_before_a_reader_of_the_old_value_is_refused() -> None:
    module = apply(step(), UNFUSED_TO_KERN)
    update = updating(module)
    block = update.parent
    readers = [c for c in calls(module) if update.operands[updates_of(update)[0]] in c.operands]
    assert len(readers) > 2
    last = [call for call in readers if call is not update][-1]
    last.detach()
    block.insert_op_after(last, update)
    with pytest.raises(PockError, match="reads a value that is overwritten"):
        check_order(module)


def test_a_use_before_its_definition_is_refused() -> None:
    module = apply(step(), UNFUSED_TO_KERN)
    first = calls(module)[0]
    block = first.parent
    first.detach()
    block.insert_op_before(first, block.last_op)
    with pytest.raises(PockError, match="reads a value that is not made yet"):
        check_order(module)


# check-kernels


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kernel", StringAttr(""), "no kernel is chosen"),
        ("kernel", StringAttr("gone"), "has no kernel 'gone'"),
        ("reuses", attribute([0]), r"may not overwrite operands \[0\]"),
    ],
)
def test_a_wrong_kernel_choice_is_refused(key: str, value: object, message: str) -> None:
    module = apply(step(), UNFUSED_TO_KERN)
    call = next(call for call in calls(module) if reuses_of(call) == (-1,))
    call.properties[key] = value
    with pytest.raises(PockError, match=message):
        check_kernels(module)


# check-memory


def planned() -> ModuleOp:
    module = apply(step(), UNFUSED)
    check_memory(module)
    return module


def arena_views(module: ModuleOp) -> list[mem.ViewOp]:
    block = find_function(module, "train_step").body.block
    views = [op for op in block.ops if isinstance(op, mem.ViewOp)]
    return [view for view in views if integer(view.buffer) >= 0]


def refused(module: ModuleOp) -> bool:
    try:
        check_memory(module)
    except PockError:
        return True
    return False


def test_overlapping_buffers_are_refused() -> None:
    module = planned()
    first, second = arena_views(module)[:2]
    first.properties["offset"] = second.properties["offset"]
    with pytest.raises(PockError, match="wrong memory plan"):
        check_memory(module)


def test_another_object_is_refused() -> None:
    module = planned()
    block = find_function(module, "train_step").body.block
    view = next(op for op in block.ops if isinstance(op, mem.ViewOp) and integer(op.buffer) < 0)
    view.properties["offset"] = attribute(integer(view.offset) + 64)
    with pytest.raises(PockError, match="wrong memory plan"):
        check_memory(module)


def test_swapped_calls_are_refused() -> None:
    positions = range(len(memory_calls(planned())) - 1)
    outcomes = []
    for position in positions:
        module = planned()
        first, second = memory_calls(module)[position : position + 2]
        second.detach()
        first.parent.insert_op_before(second, first)
        depends = set(ints(first.writes)) & set(ints(second.reads))
        outcomes.append((bool(depends), refused(module)))
    assert any(depends for depends, _ in outcomes)
    assert all(was_refused for depends, was_refused in outcomes if depends)


@pytest.mark.parametrize("what", ["reads", "writes"])
def test_other_value_numbers_are_refused(what: str) -> None:
    module = planned()
    call = memory_calls(module)[1]
    numbers = list(ints(call.properties[what]))
    call.properties[what] = attribute([numbers[0] + 1, *numbers[1:]])
    with pytest.raises(PockError, match="wrong memory plan"):
        check_memory(module)


def test_a_dropped_call_is_refused() -> None:
    for position in range(len(memory_calls(planned()))):
        module = planned()
        call = memory_calls(module)[position]
        call.detach()
        call.erase()
        assert refused(module), position


def test_constants_may_not_be_written() -> None:
    module = planned()
    for op in mem.objects(module):
        if op.region.data == "state":
            op.properties["region"] = StringAttr("constants")
    with pytest.raises(PockError, match="wrong memory plan"):
        check_memory(module)


@pytest.mark.parametrize("seed", range(5))
def test_random_offsets_that_change_a_result_are_refused(seed: int) -> None:
    """Moving one buffer of a random program: the checker accepts only what computes the same."""
    source = random_module(Random(seed), 25)
    arrays = inputs_of(source)
    wanted = run_values(source, arrays)
    random = Random(seed)
    accepted = 0
    for _ in range(10):
        module = apply(source.clone(), TO_MEMORY)
        views = arena_views(module)
        view = random.choice(views)
        room = mem.memory_bytes(view.region.type) - mem.memory_bytes(view.type)
        moved = attribute(random.randrange(0, room + 1, 4))
        for other in views:
            if integer(other.buffer) == integer(view.buffer):
                other.properties["offset"] = moved
        if not refused(module):
            accepted += 1
            assert_same(run_memory(module, source, arrays), wanted)
    assert accepted < 10
