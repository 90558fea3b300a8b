"""Fusion: what is merged, and that the target and memory have their say."""

import re
from dataclasses import replace

import pytest
from programs import CONTEXT, apply
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from pock_ir.dialects.kern import CallOp, body_ops, updates_of
from pock_ir.interpret import find_function
from pock_ir.lowering.train_to_kern import TrainToKernPass
from pock_ir.parse import parse_module
from pock_ir.passes.fuse import Costs, FusePass, Fuser
from pock_ir.passes.pointwise import anchors
from pock_ir.target import Kernel, Target
from pock_ir.targets.reference import REFERENCE, ReferenceKernel

M, R = "tensor<4x4xf32>", "tensor<4xf32>"


def lowered(signature: str, body: str, returned: str, types: str) -> ModuleOp:
    source = f"""
    builtin.module attributes {{pock.level = "train", pock.target = "reference"}} {{
      func.func @f({signature}) -> ({types}) {{
        {body}
        func.return {returned} : {types}
      }}
    }}"""
    plain = re.sub(r" \{pock[^}]*\}", "", types)
    source = source.replace(f"{returned} : {types}", f"{returned} : {plain}")
    return apply(parse_module(CONTEXT, source), (TrainToKernPass(),))


def bodies(module: ModuleOp) -> list[list[str]]:
    """The names of the ops of each call, without their dialect."""
    calls = [op for op in find_function(module, "f").body.block.ops if isinstance(op, CallOp)]
    return [[op.name.split(".")[1] for op in body_ops(call)] for call in calls]


def fused(module: ModuleOp) -> list[list[str]]:
    return bodies(apply(module, (FusePass(),)))


LINEAR = f"""
%y = nn.linear %x, %w {{weight_layout = "oi"}} : ({M}, {M}) -> {M}
%r = nn.broadcast %b {{shape = array<i64: 4, 4>, axes = array<i64: 1>}} : ({R}) -> {M}
%z = nn.add %y, %r : ({M}, {M}) -> {M}
"""


def test_bias_and_activation_join_the_product() -> None:
    body = f"{LINEAR} %a = nn.relu %z : ({M}) -> {M}"
    module = lowered(f"%x: {M}, %w: {M}, %b: {R}", body, "%a", M)
    assert fused(module) == [["linear", "broadcast", "add", "relu"]]


def test_a_stored_result_stays_a_result() -> None:
    body = f"{LINEAR} %a = nn.relu %z : ({M}) -> {M}"
    module = lowered(f"%x: {M}, %w: {M}, %b: {R}", body, "%z, %a", f"{M}, {M}")
    assert fused(module) == [["linear", "broadcast", "add", "relu"]]


def test_two_products_stay_two() -> None:
    body = f"""
    %y = nn.linear %x, %w {{weight_layout = "oi"}} : ({M}, {M}) -> {M}
    %z = nn.linear %y, %w {{weight_layout = "oi"}} : ({M}, {M}) -> {M}"""
    assert fused(lowered(f"%x: {M}, %w: {M}", body, "%z", M)) == [["linear"], ["linear"]]


def test_a_view_in_between_keeps_calls_apart() -> None:
    body = f"""
    %y = nn.exp %x : ({M}) -> {M}
    %v = nn.reshape %y {{shape = array<i64: 16>}} : ({M}) -> tensor<16xf32>
    %z = nn.exp %v : (tensor<16xf32>) -> tensor<16xf32>"""
    assert fused(lowered(f"%x: {M}", body, "%z", "tensor<16xf32>")) == [["exp"], ["exp"]]


def test_a_reduction_takes_its_producer_in() -> None:
    body = f"""
    %y = nn.exp %x : ({M}) -> {M}
    %z = nn.sum %y {{axes = array<i64: 0>}} : ({M}) -> {R}"""
    assert fused(lowered(f"%x: {M}", body, "%z", R)) == [["exp", "sum"]]


def test_a_reduction_is_not_broadcast_inside_its_own_call() -> None:
    body = f"""
    %y = nn.sum %x {{axes = array<i64: 0>}} : ({M}) -> {R}
    %r = nn.broadcast %y {{shape = array<i64: 4, 4>, axes = array<i64: 1>}} : ({R}) -> {M}
    %z = nn.sub %x, %r : ({M}, {M}) -> {M}"""
    assert fused(lowered(f"%x: {M}", body, "%z", M)) == [["sum"], ["broadcast", "sub"]]


UPDATE = f"""
%d = train.linear_grad_weight %x, %g {{weight_layout = "oi"}} : ({M}, {M}) -> {M}
%n = train.sgd %w, %d, %rate {{weight_decay = 0.0 : f64, axis = 0 : i64, begin = 0 : i64}}
    : ({M}, {M}, tensor<f32>) -> {M}
"""
PARAMETERS = (
    f'%x: {M}, %g: {M}, %w: {M} {{pock.kind = "parameter", pock.name = "w"}}, %rate: tensor<f32>'
)
NEW_W = f'{M} {{pock.kind = "update", pock.name = "w"}}'


def test_the_update_joins_its_gradient_and_stays_in_place() -> None:
    module = lowered(PARAMETERS, UPDATE, "%n", NEW_W)
    assert fused(module) == [["linear_grad_weight", "sgd"]]
    (call,) = [op for op in module.walk() if isinstance(op, CallOp)]
    assert call.operands[updates_of(call)[0]] is find_function(module, "f").args[2]


def test_a_returned_gradient_is_still_stored() -> None:
    module = lowered(PARAMETERS, UPDATE, "%n, %d", f"{NEW_W}, {M}")
    apply(module, (FusePass(),))
    (call,) = [op for op in module.walk() if isinstance(op, CallOp)]
    assert updates_of(call) == (-1, 2)


def test_the_update_does_not_move_before_a_reader_of_the_old_weight() -> None:
    """dx needs the old w; fusing may not make the update run first."""
    body = f"""{UPDATE}
    %dx = nn.linear %g, %w {{weight_layout = "io"}} : ({M}, {M}) -> {M}"""
    types = f'{NEW_W}, {M} {{pock.kind = "output", pock.name = "dx"}}'
    module = lowered(PARAMETERS, body, "%n, %dx", types)
    assert fused(module) == [["linear_grad_weight", "sgd"], ["linear"]]


SHARED = f"""
%m = nn.mul %x, %g : ({M}, {M}) -> {M}
%p = nn.sum %m {{axes = array<i64: 0>}} : ({M}) -> {R}
%q = nn.sum %m {{axes = array<i64: 1>}} : ({M}) -> {R}
"""


def test_a_cheap_producer_is_copied_into_its_readers() -> None:
    module = lowered(f"%x: {M}, %g: {M}", SHARED, "%p, %q", f"{R}, {R}")
    assert fused(module) == [["mul", "sum"], ["mul", "sum"]]


def test_a_costly_producer_is_not_copied() -> None:
    body = SHARED.replace("nn.mul %x, %g", "nn.div %x, %g")
    module = lowered(f"%x: {M}, %g: {M}", body, "%p, %q", f"{R}, {R}")
    assert fused(module) == [["div", "sum"], ["sum"]]


FORWARD_BACKWARD = """
%a = nn.OP %x, %x : (M, M) -> M
%l = nn.sum %x {axes = array<i64: 0, 1>} : (M) -> tensor<f32>
%k = nn.linear %g, %g {weight_layout = "oi"} : (M, M) -> M
%h = nn.mul %k, %a : (M, M) -> M
""".replace("M", M)


def phase_module(source: str) -> ModuleOp:
    types = (
        'tensor<f32> {pock.kind = "loss", pock.name = "l"}, '
        f'{M} {{pock.kind = "gradient", pock.name = "h"}}'
    )
    return lowered(f"%x: {M}, %g: {M}", source, "%l, %h", types)


def test_everything_backward_may_merge() -> None:
    """`a` serves the gradient only, so it is not forward, whatever stands before the loss."""
    module = phase_module(FORWARD_BACKWARD.replace("OP", "div"))
    assert fused(module) == [["sum"], ["linear", "div", "mul"]]


class Picky(ReferenceKernel):
    """Only single ops, and elementwise chains of at most three ops."""

    name = "picky"

    def matches(self, call: Operation, target: Target) -> bool:
        assert isinstance(call, CallOp)
        ops = body_ops(call)
        return len(ops) == 1 or (not anchors(call) and len(ops) <= 3)


def fused_for(module: ModuleOp, kernels: tuple[Kernel, ...]) -> list[list[str]]:
    target = replace(REFERENCE, kernels=kernels)
    Fuser(find_function(module, "f"), Costs(target)).run()
    return bodies(module)


CHAIN = "\n".join(f"%y{i + 1} = nn.exp %y{i} : ({M}) -> {M}" for i in range(5))


def test_the_target_decides() -> None:
    module = lowered(f"%y0: {M}", CHAIN, "%y5", M)
    assert fused_for(module, (Picky(),)) == [["exp"] * 3, ["exp"] * 2]


class Slow(ReferenceKernel):
    """Runs merged calls, but ten times slower than the single ones."""

    name = "slow"

    def seconds(self, call: Operation, target: Target) -> float:
        assert isinstance(call, CallOp)
        return 10.0 if len(body_ops(call)) > 1 else 1.0


def test_a_slower_merge_is_not_made() -> None:
    module = lowered(f"%y0: {M}", CHAIN, "%y5", M)
    assert fused_for(module, (Slow(),)) == [["exp"]] * 5


def test_no_kernel_no_merge() -> None:
    module = lowered(f"%y0: {M}", CHAIN, "%y5", M)
    assert fused_for(module, ()) == [["exp"]] * 5


@pytest.mark.parametrize("count", [200, 400])
def test_each_pair_is_asked_about_a_bounded_number_of_times(count: int) -> None:
    """Near-linear: the number of candidate calls grows with the ops, not with their square."""
    chain = "\n".join(f"%y{i + 1} = nn.exp %y{i} : ({M}) -> {M}" for i in range(count))
    module = lowered(f"%y0: {M}", chain, f"%y{count}", M)
    asked: list[int] = []

    class Counting(ReferenceKernel):
        name = "counting"

        def matches(self, call: Operation, target: Target) -> bool:
            asked.append(1)
            return True

    fused_for(module, (Counting(),))
    assert len(asked) <= 100  # equal candidates are asked about once: 48 lengths of a chain
