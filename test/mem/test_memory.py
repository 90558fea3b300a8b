"""The memory level: text form, refusals, sharing between functions, reports and images."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from programs import (
    CONTEXT,
    TO_KERN,
    TO_MEMORY,
    apply,
    inputs_of,
    random_module,
    run_memory,
    run_values,
)
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

from pock_ir.diagnostics import PockError
from pock_ir.dialects import mem
from pock_ir.dialects.levels import check_named_level
from pock_ir.interpret import find_function
from pock_ir.lowering.memory_image import image_of, objects_in
from pock_ir.op import attribute, integer, text
from pock_ir.parse import parse_module, print_module
from pock_ir.passes import plan_memory as module_under_test
from pock_ir.passes.memory_report import memory_report, minimalloc_csv
from pock_ir.passes.plan_memory import plan_memory
from pock_ir.passes.signature import (
    argument_attributes,
    described,
    kind_of,
    replace_results,
    results_of,
    set_argument_attributes,
)
from pock_ir.targets.reference import REFERENCE
from pock_ir.verify import verify_module


def planned(seed: int = 1, ops: int = 30) -> ModuleOp:
    return apply(random_module(Random(seed), ops), TO_MEMORY)


def two_functions() -> ModuleOp:
    """A step and, from the same ops, a function that updates nothing."""
    module = random_module(Random(3), 20)
    other = find_function(module, "train_step").clone()
    other.properties["sym_name"] = StringAttr("infer")
    kept = [(value, e) for value, e in results_of(other) if kind_of(e) in ("loss", "output")]
    module.body.block.add_op(other)
    replace_results(other, kept)
    return module


def test_both_levels_are_legal() -> None:
    module = apply(random_module(Random(1), 30), TO_KERN)
    check_named_level(module, "kern")
    check_named_level(planned(), "mem")


def test_all_functions_share_arena_objects_and_kernels() -> None:
    source = two_functions()
    module = apply(source.clone(), TO_MEMORY)
    sizes = {
        tuple(mem.memory_bytes(value.type) for value in function.args[:3])
        for function in module.ops
        if isinstance(function, FuncOp)
    }
    assert len(sizes) == 1
    labels = [text(op.label) for op in mem.objects(module)]
    assert len(set(labels)) == len(labels)
    arrays = inputs_of(source)
    for name in ("train_step", "infer"):
        wanted = run_values(source, arrays, name)
        for key, value in run_memory(module, source, arrays, name).items():
            np.testing.assert_allclose(value, wanted[key], rtol=1e-4, atol=1e-5)


def test_objects_that_a_function_updates_are_state() -> None:
    module = apply(two_functions(), TO_MEMORY)
    regions = {text(op.label): text(op.region) for op in mem.objects(module)}
    assert regions["w"] == regions["momentum:w"] == regions["mean"] == "state"
    assert regions["c"] == "constants"


def test_objects_are_aligned_and_apart() -> None:
    ends: dict[str, int] = {}
    for op in mem.objects(planned()):
        assert integer(op.offset) % mem.OBJECT_ALIGNMENT == 0
        assert integer(op.offset) >= ends.get(text(op.region), 0)
        ends[text(op.region)] = integer(op.offset) + op.bytes


def test_functions_that_disagree_about_an_object_are_refused() -> None:
    source = apply(two_functions(), TO_KERN)
    infer = find_function(source, "infer")
    entries = argument_attributes(infer)
    entries[1] = described("buffer", "w")
    set_argument_attributes(infer, entries)
    with pytest.raises(PockError, match=r"'w' is parameter .* in one function and buffer"):
        apply(source, TO_MEMORY[len(TO_KERN) :])


def test_an_arena_larger_than_the_target_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = apply(random_module(Random(1), 30), TO_MEMORY[: len(TO_KERN) + 1])
    small = replace(REFERENCE, memory=64)
    monkeypatch.setattr(module_under_test, "target_of", lambda module: small)
    with pytest.raises(PockError, match=r"the arena needs .* bytes; reference has 64"):
        plan_memory(module)


def test_report_agrees_with_the_module() -> None:
    module = planned()
    report = memory_report(module)
    (function,) = report.functions
    assert report.arena == function.arena
    assert function.bound <= function.arena
    total = [sum(column) for column in zip(*function.alive.values(), strict=True)]
    assert function.bound == max(total) == total[function.peak]
    assert {row.content for row in function.buffers} <= set(mem.CLASSES)
    for row in function.buffers:
        assert 0 <= row.lower < row.upper <= function.calls
        assert row.offset + row.size <= report.arena
    lines = minimalloc_csv(function).splitlines()
    assert lines[0] == "id,lower,upper,size,offset"
    assert len(lines) == 1 + len(function.buffers)


def test_image_holds_what_it_is_given() -> None:
    module = planned()
    values = {
        text(op.label): np.arange(op.bytes // 4, dtype=np.float32).reshape(op.type.get_shape())
        for op in mem.objects(module)
    }
    found = objects_in(module, image_of(module, values))
    for label, value in values.items():
        np.testing.assert_array_equal(found[label], value)
    del values["w"]
    with pytest.raises(PockError, match="no value is given for parameter 'w'"):
        image_of(module, values)


VIEW = """
builtin.module attributes {pock.level = "mem", pock.target = "reference"} {
  func.func @f(%arena: memref<64xi8>) {
    %v = mem.view %arena
        {offset = OFFSET : i64, buffer = 0 : i64, content = "", type = memref<4xf32>}
        : (memref<64xi8>) -> memref<4xf32>
    func.return
  }
}
"""


@pytest.mark.parametrize("offset", ["49", "-1"])
def test_a_view_outside_of_its_region_is_refused(offset: str) -> None:
    parse_module(CONTEXT, VIEW.replace("OFFSET", "48"))
    with pytest.raises(PockError, match="are not within 64"):
        parse_module(CONTEXT, VIEW.replace("OFFSET", offset))


def first_call(module: ModuleOp) -> mem.CallOp:
    return next(op for op in module.walk() if isinstance(op, mem.CallOp))


def test_a_call_has_to_fit_its_kernel() -> None:
    module = planned()
    call = first_call(module)
    call.properties["reads"] = attribute([0] * (len(call.ins) + 1))
    with pytest.raises(PockError, match="ins has unnumbered values"):
        verify_module(module)


def test_an_unknown_kernel_is_refused() -> None:
    text_ = print_module(planned())
    name = next(line for line in text_.splitlines() if "mem.kernel @k0 " in line)
    renamed = text_.replace(name, name.replace("@k0 ", "@other "))
    with pytest.raises(PockError, match=r"k0.* is no mem\.kernel"):
        parse_module(CONTEXT, renamed)


def test_reading_unwritten_memory_shows_as_not_a_number() -> None:
    buffer = mem.BufferOp.make(bytes=16, content="activation")
    assert np.isnan(buffer.evaluate().view(np.float32)).all()
