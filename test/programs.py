"""Random training-like functions, and running them at every level below `train`."""

from __future__ import annotations

from random import Random

import numpy as np
from xdsl.dialects.builtin import FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass

import pock_ir.targets.reference  # noqa: F401  registers the target
from pock_ir.build import Emitter
from pock_ir.dialects import make_context, mem
from pock_ir.dialects.elementwise import AddOp, MulOp, NegOp, ReluOp, SubOp, TanhOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.optimizer import MomentumOp, SgdOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, ReshapeOp, TransposeOp
from pock_ir.dialects.softmax import SoftmaxOp
from pock_ir.interpret import find_function, run_function
from pock_ir.location import file_location
from pock_ir.lowering.kern_to_mem import KernToMemPass
from pock_ir.lowering.memory_image import image_of, objects_in, run_in_memory
from pock_ir.lowering.train_to_kern import TrainToKernPass
from pock_ir.op import text
from pock_ir.passes.check_kernels import CheckKernelsPass
from pock_ir.passes.check_memory import CheckMemoryPass
from pock_ir.passes.check_order import CheckOrderPass
from pock_ir.passes.fuse import FusePass
from pock_ir.passes.plan_memory import PlanMemoryPass
from pock_ir.passes.schedule import SchedulePass
from pock_ir.passes.select_kernels import SelectKernelsPass
from pock_ir.passes.signature import (
    argument_attributes,
    described,
    kind_of,
    name_of,
    result_attributes,
    set_argument_attributes,
    set_result_attributes,
)
from pock_ir.passes.write_back import WriteBackPass
from pock_ir.types import Array, Tensor, dtype_of, shape_of, tensor
from pock_ir.verify import verify_module

CONTEXT = make_context()

TO_KERN: tuple[ModulePass, ...] = (
    TrainToKernPass(),
    FusePass(),
    SelectKernelsPass(),
    WriteBackPass(),
    CheckKernelsPass(),
    SchedulePass(),
    CheckOrderPass(),
)
TO_MEMORY: tuple[ModulePass, ...] = (
    *TO_KERN,
    KernToMemPass(),
    PlanMemoryPass(),
    CheckMemoryPass(),
)

MATRIX, ROW, FLAT, SCALAR = (4, 4), (4,), (16,), ()


class Program:
    """One function @train_step under construction; values are drawn by shape."""

    def __init__(self, random: Random, target: str = "reference") -> None:
        self.random = random
        self.target = target
        self.block = Block()
        self.emit = Emitter.at_end(self.block, file_location("model.py", 1, 1))
        self.entries = []
        self.results = []
        self.values: list[SSAValue] = []
        for kind, name, shape in (
            ("input", "x", MATRIX),
            ("parameter", "w", MATRIX),
            ("parameter", "u", MATRIX),
            ("parameter", "b", ROW),
            ("buffer", "mean", ROW),
            ("constant", "c", MATRIX),
            ("state", "momentum:w", MATRIX),
            ("rate", "rate", SCALAR),
        ):
            self.argument(kind, name, shape)
        self.step = self.block.insert_arg(tensor((), "i32"), len(self.block.args))
        self.entries.append(described("step", "step"))

    def argument(self, kind: str, name: str, shape: tuple[int, ...]) -> SSAValue:
        value = self.block.insert_arg(tensor(shape), len(self.block.args))
        self.entries.append(described(kind, name))
        self.values.append(value)
        return value

    def named(self, name: str) -> SSAValue:
        return next(
            v for v, e in zip(self.block.args, self.entries, strict=True) if name_of(e) == name
        )

    def pick(self, shape: tuple[int, ...]) -> SSAValue:
        """A value of this shape; later ones are likelier, as in a network."""
        known = [value for value in self.values if shape_of(value) == shape]
        near = known[-3:] if self.random.random() < 0.7 else known
        return self.random.choice(near)

    def add(self, value: SSAValue) -> SSAValue:
        self.values.append(value)
        return value

    def grow(self) -> None:
        """Append one random op."""
        self.random.choice(
            (
                self._unary,
                self._binary,
                self._binary,
                self._scaled,
                self._spread,
                self._view,
                self._reduce,
                self._linear,
                self._rows,
            )
        )()

    def _shape(self) -> tuple[int, ...]:
        return self.random.choice((MATRIX, MATRIX, MATRIX, ROW, FLAT[:0] or ROW))

    def _unary(self) -> None:
        op = self.random.choice((NegOp, ReluOp, TanhOp))
        self.add(self.emit(op, self.pick(self._shape())))

    def _binary(self) -> None:
        shape = self._shape()
        op = self.random.choice((AddOp, SubOp, MulOp))
        self.add(self.emit(op, self.pick(shape), self.pick(shape)))

    def constant(self, value: float, shape: tuple[int, ...]) -> SSAValue:
        return self.emit(ConstantOp, value=value, type=tensor(shape))

    def _scaled(self) -> None:
        shape = self._shape()
        factor = self.constant(self.random.choice((0.5, 0.0, -1.0)), shape)
        self.add(self.emit(MulOp, self.pick(shape), factor))

    def _spread(self) -> None:
        axis = self.random.choice((0, 1))
        row = self.emit(BroadcastOp, self.pick(ROW), shape=MATRIX, axes=[axis])
        self.add(self.emit(AddOp, self.pick(MATRIX), row) if self.random.random() < 0.7 else row)

    def _view(self) -> None:
        flat = self.emit(ReshapeOp, self.pick(MATRIX), shape=FLAT)
        if self.random.random() < 0.5:
            flat = self.emit(NegOp, flat)
        self.add(self.emit(ReshapeOp, flat, shape=MATRIX))

    def _reduce(self) -> None:
        axis = self.random.choice((0, 1))
        self.add(self.emit(SumOp, self.emit(TanhOp, self.pick(MATRIX)), axes=[axis]))

    def _linear(self) -> None:
        layout = self.random.choice(("oi", "io"))
        x = self.emit(TanhOp, self.pick(MATRIX))
        w = self.pick(MATRIX) if self.random.random() < 0.3 else self.named("w")
        self.add(self.emit(LinearOp, x, w, weight_layout=layout))

    def _rows(self) -> None:
        x = self.pick(MATRIX)
        if self.random.random() < 0.5:
            self.add(self.emit(SoftmaxOp, x, axis=1))
        else:
            self.add(self.emit(TransposeOp, x, permutation=[1, 0]))

    def returned(self, kind: str, name: str, value: SSAValue) -> None:
        self.results.append((value, described(kind, name)))

    def finish(self) -> ModuleOp:
        """Add a loss, updates and outputs, all of random values, and build the module."""
        loss = self.emit(SumOp, self.pick(MATRIX), axes=[0, 1])
        self.returned("loss", "loss", loss)
        self._updates()
        for index in range(self.random.randrange(3)):
            self.returned("output", f"y{index}", self.pick(self.random.choice((MATRIX, ROW))))
        if self.random.random() < 0.5:
            self.random.shuffle(self.results)
        return self.module()

    def _updates(self) -> None:
        rate, same = self.named("rate"), {"weight_decay": 0.0, "axis": 0, "begin": 0}
        w, momentum = self.emit.op(
            MomentumOp,
            self.named("w"),
            self.pick(MATRIX),
            self.named("momentum:w"),
            rate,
            self.step,
            momentum=0.9,
            dampening=0.0,
            nesterov=False,
            **same,
        ).results
        self.add(w)
        b = self.add(self.emit(SgdOp, self.named("b"), self.pick(ROW), rate, **same))
        for _ in range(self.random.randrange(3)):
            self.grow()
        swapped = self.random.random() < 0.2
        self.returned("update", "w", self.named("u") if swapped else w)
        self.returned("update", "momentum:w", momentum)
        self.returned("update", "b", self.pick(ROW) if self.random.random() < 0.2 else b)
        self.returned("update", "mean", self.pick(ROW))
        if swapped or self.random.random() < 0.5:
            self.returned("update", "u", self.named("w") if swapped else self.pick(MATRIX))

    def module(self, name: str = "train_step") -> ModuleOp:
        values = [value for value, _ in self.results]
        end = ReturnOp(*values)
        end.location = self.emit.location
        self.block.add_op(end)
        types = FunctionType.from_lists(
            [v.type for v in self.block.args], [value.type for value in values]
        )
        function = FuncOp(name, types, Region(self.block))
        function.location = self.emit.location
        set_argument_attributes(function, self.entries)
        set_result_attributes(function, [entry for _, entry in self.results])
        module = ModuleOp([function])
        module.attributes.update(
            {
                "pock.name": StringAttr("net"),
                "pock.level": StringAttr("train"),
                "pock.target": StringAttr(self.target),
            }
        )
        verify_module(module)
        return module


def random_module(random: Random, ops: int) -> ModuleOp:
    """A training-like function of about `ops` ops."""
    program = Program(random)
    for _ in range(ops):
        program.grow()
    return program.finish()


def apply(module: ModuleOp, passes: tuple[ModulePass, ...]) -> ModuleOp:
    """Run passes in place, verifying after each; returns the module."""
    for action in passes:
        action.apply(CONTEXT, module)
        verify_module(module)
    return module


def inputs_of(module: ModuleOp, name: str = "train_step", seed: int = 0) -> list[Array]:
    """Random arguments for a function at level train or kern."""
    generator = np.random.default_rng(seed)
    arrays: list[Array] = []
    for value in find_function(module, name).args:
        type: Tensor = value.type
        array = generator.standard_normal(shape_of(type)) * 0.5
        arrays.append(np.asarray(array).astype(dtype_of(type).numpy))
    return arrays


def run_values(module: ModuleOp, arrays: list[Array], name: str = "train_step") -> dict[str, Array]:
    """Results by kind and name."""
    results = run_function(module, name, arrays)
    entries = result_attributes(find_function(module, name))
    return {
        f"{kind_of(e)} {name_of(e)}": np.array(r) for e, r in zip(entries, results, strict=True)
    }


def run_memory(
    lowered: ModuleOp, source: ModuleOp, arrays: list[Array], name: str = "train_step"
) -> dict[str, Array]:
    """Results of the memory-level function by kind and name, as `run_values` gives them."""
    entries = argument_attributes(find_function(source, name))
    given = list(zip(entries, arrays, strict=True))
    is_object = [kind_of(entry) in mem.OBJECT_KINDS for entry, _ in given]
    values = {name_of(e): a for (e, a), own in zip(given, is_object, strict=True) if own}
    image = image_of(lowered, values)
    caller = [a.copy() for (_, a), own in zip(given, is_object, strict=True) if not own]
    outputs = iter(run_in_memory(lowered, name, image, caller))
    after = objects_in(lowered, image)
    found: dict[str, Array] = {}
    for entry in result_attributes(find_function(source, name)):
        is_update = kind_of(entry) == "update"
        key = f"{kind_of(entry)} {name_of(entry)}"
        found[key] = after[name_of(entry)] if is_update else next(outputs)
    for op in mem.objects(lowered):
        if f"update {text(op.label)}" not in found:
            np.testing.assert_array_equal(after[text(op.label)], values[text(op.label)])
    return found


def assert_same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    """Equal results, but for the order of numpy's sums, which depends on strides in memory."""
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
