"""Where returned values end: in place, in the caller's memory, or by as few copies as needed."""

from random import Random

import pytest
from programs import (
    MATRIX,
    TO_MEMORY,
    Program,
    apply,
    assert_same,
    inputs_of,
    run_memory,
    run_values,
)
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from pock_ir.diagnostics import PockError
from pock_ir.dialects import mem
from pock_ir.dialects.elementwise import AddOp, NegOp, TanhOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.optimizer import SgdOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import BroadcastOp, ReshapeOp
from pock_ir.interpret import find_function
from pock_ir.lowering.kern_to_mem import kern_to_mem
from pock_ir.passes.check_order import check_order


class Case(Program):
    """A program written by hand; `loss` is the sum of x unless another is returned."""

    def __init__(self) -> None:
        super().__init__(Random(0))

    def sgd(self, name: str, gradient: SSAValue) -> SSAValue:
        options = {"weight_decay": 0.0, "axis": 0, "begin": 0}
        return self.emit(SgdOp, self.named(name), gradient, self.named("rate"), **options)

    def lowered(self) -> ModuleOp:
        """The planned module, after comparing its results with those of the source."""
        source = self.module()
        module = apply(source.clone(), TO_MEMORY)
        arrays = inputs_of(source)
        assert_same(run_memory(module, source, arrays), run_values(source, arrays))
        return module


def calls(module: ModuleOp) -> list[str]:
    """What each call computes, in order."""
    block = find_function(module, "train_step").body.block
    found = [op for op in block.ops if isinstance(op, mem.CallOp)]
    return ["+".join(o.name.split(".")[1] for o in _body(c)) for c in found]


def _body(call: mem.CallOp) -> list:
    return list(call.kernel.call.body.block.ops)[:-1]


def arena(module: ModuleOp) -> int:
    return mem.memory_bytes(find_function(module, "train_step").args[0].type)


def test_updates_in_place_need_no_copy_and_no_arena() -> None:
    case = Case()
    case.returned("update", "w", case.sgd("w", case.named("x")))
    module = case.lowered()
    assert calls(module) == ["sgd"]
    assert arena(module) == 0


def test_a_buffer_is_updated_in_place_by_an_elementwise_kernel() -> None:
    """running mean: the result takes the memory of the operand that it replaces."""
    case = Case()
    case.returned("update", "mean", case.emit(AddOp, case.named("mean"), case.named("b")))
    module = case.lowered()
    assert calls(module) == ["add"]
    assert arena(module) == 0


def test_a_kernel_that_may_not_work_in_place_writes_to_the_arena_first() -> None:
    case = Case()
    w = case.emit(LinearOp, case.named("u"), case.named("w"), weight_layout="oi")
    case.returned("update", "w", w)
    module = case.lowered()
    assert calls(module) == ["linear", "cast"]
    assert arena(module) == 64


def test_an_unrelated_result_is_made_in_the_object() -> None:
    case = Case()
    w = case.emit(LinearOp, case.named("u"), case.named("x"), weight_layout="oi")
    case.returned("update", "w", w)
    assert calls(case.lowered()) == ["linear"]


def test_an_unchanged_parameter_costs_nothing() -> None:
    case = Case()
    case.returned("update", "w", case.named("w"))
    assert calls(case.lowered()) == []


def test_parameters_may_change_places() -> None:
    case = Case()
    case.returned("update", "w", case.named("u"))
    case.returned("update", "u", case.named("w"))
    module = case.lowered()
    assert calls(module) == ["cast"] * 4
    assert arena(module) == 128


def test_one_value_may_be_returned_often() -> None:
    case = Case()
    value = case.emit(TanhOp, case.named("x"))
    for index in range(3):
        case.returned("output", f"y{index}", value)
    case.returned("update", "w", value)
    assert calls(case.lowered()) == ["tanh", "cast", "cast", "cast"]


def test_an_input_and_an_old_parameter_may_be_returned() -> None:
    case = Case()
    case.returned("update", "w", case.sgd("w", case.named("x")))
    case.returned("output", "input", case.named("x"))
    case.returned("output", "old", case.named("w"))
    order = calls(case.lowered())
    assert order.index("sgd") == 2  # the old weight is copied before it changes


def test_a_new_parameter_may_be_returned_too() -> None:
    case = Case()
    new = case.sgd("w", case.named("x"))
    case.returned("update", "w", new)
    case.returned("output", "new", new)
    assert calls(case.lowered()) == ["sgd", "cast"]


def test_a_reader_of_both_old_and_new_keeps_the_old_one() -> None:
    """No order serves it: the update works on a copy, which then replaces the parameter."""
    case = Case()
    new = case.sgd("w", case.named("x"))
    both = case.emit(LinearOp, new, case.named("w"), weight_layout="oi")
    case.returned("update", "w", new)
    case.returned("output", "both", both)
    module = case.lowered()
    assert sorted(calls(module)) == ["cast", "cast", "linear", "sgd"]


def test_an_update_waits_for_every_reader_of_the_old_value_also_through_views() -> None:
    case = Case()
    w = case.named("w")
    case.returned("update", "w", case.sgd("w", case.named("x")))
    flat = case.emit(ReshapeOp, w, shape=(16,))
    case.returned("output", "flat", case.emit(ReshapeOp, case.emit(NegOp, flat), shape=MATRIX))
    total = case.emit(SumOp, w, axes=[0, 1])
    case.returned("loss", "loss", total)
    assert calls(case.lowered())[-1] == "sgd"


def test_a_view_may_be_returned() -> None:
    case = Case()
    value = case.emit(NegOp, case.named("x"))
    case.returned("output", "flat", case.emit(ReshapeOp, value, shape=(16,)))
    assert calls(case.lowered()) == ["neg"]


def test_a_broadcast_is_materialised_only_where_it_is_returned() -> None:
    case = Case()
    row = case.emit(BroadcastOp, case.named("b"), shape=MATRIX, axes=[1])
    case.returned("output", "row", row)
    case.returned("output", "sum", case.emit(AddOp, row, case.named("x")))
    assert sorted(calls(case.lowered())) == ["broadcast", "broadcast+add"]


def test_updates_wait_for_the_loss() -> None:
    """A loss that is not finite can stop the step while all state is as it was."""
    case = Case()
    case.returned("update", "w", case.sgd("w", case.named("x")))
    h = case.emit(LinearOp, case.named("u"), case.named("c"), weight_layout="oi")
    case.returned("loss", "loss", case.emit(SumOp, h, axes=[0, 1]))
    module = case.lowered()
    assert calls(module)[-1] == "sgd"


@pytest.mark.parametrize("name", ["w", "b"])
def test_lowering_without_write_back_is_refused(name: str) -> None:

    case = Case()
    case.returned("output", "y", case.named(name))
    with pytest.raises(PockError, match="write-back"):
        kern_to_mem(case.module())
    check_order(Case().module())
