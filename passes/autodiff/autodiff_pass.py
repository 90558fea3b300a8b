"""Build the gradients of the trained parameters.

@train is renamed @train_step and returns, behind its other results, the gradient of each
argument that is marked `pock.train` and reaches the loss; the module's level becomes "train".
An argument marked with a slice gets the gradient of that slice. As in torch, a parameter on
which the loss does not depend has no gradient and stays as it is.

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @train(
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "w", pock.train},
        %x: tensor<4x3xf32> {pock.kind = "input", pock.name = "x"}
      ) -> (tensor<f32> {pock.kind = "loss"}) {
        %y = nn.linear %x, %w {weight_layout = "oi"}
          : (tensor<4x3xf32>, tensor<2x3xf32>) -> tensor<4x2xf32>
        %loss = nn.sum %y {axes = array<i64: 0, 1>} : (tensor<4x2xf32>) -> tensor<f32>
        func.return %loss : tensor<f32>
      }
    }
after:
    builtin.module attributes {pock.level = "train"} {
      func.func @train_step(
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "w", pock.train},
        %x: tensor<4x3xf32> {pock.kind = "input", pock.name = "x"}
      ) -> (
        tensor<f32> {pock.kind = "loss"},
        tensor<2x3xf32> {pock.kind = "gradient", pock.name = "w"}
      ) {
        %y = nn.linear %x, %w {weight_layout = "oi"}
          : (tensor<4x3xf32>, tensor<2x3xf32>) -> tensor<4x2xf32>
        %loss = nn.sum %y {axes = array<i64: 0, 1>} : (tensor<4x2xf32>) -> tensor<f32>
        %dloss = nn.constant {value = 1.0 : f64, type = tensor<f32>} : () -> tensor<f32>
        %dy = nn.broadcast %dloss {shape = array<i64: 4, 2>, axes = array<i64>}
          : (tensor<f32>) -> tensor<4x2xf32>
        %dw = train.linear_grad_weight %x, %dy {weight_layout = "oi"}
          : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<2x3xf32>
        func.return %loss, %dw : tensor<f32>, tensor<2x3xf32>
      }
    }
unchanged: the loss and every other result, bit for bit.
Method: reverse accumulation over SSA with symbolic zeros, driven by need; see `engine`.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from pock_ir.diagnostics import DiagnosticCollector, PockError, quote
from pock_ir.dialects.elementwise import StopGradientOp
from pock_ir.interpret import find_function
from pock_ir.passes.autodiff.engine import Request, build_gradients, is_differentiable
from pock_ir.passes.signature import (
    Attributes,
    argument_attributes,
    described,
    kind_of,
    name_of,
    replace_results,
    results_of,
)
from pock_ir.passes.trained import MARK, trained_slice
from pock_ir.types import tensor_type


def differentiate(function: FuncOp) -> None:
    """Append the gradients of the marked arguments to the results of `function`.

    Raises PockError if no argument is marked, if a mark does not fit its argument, if there is
    no single loss, or if an op has no gradient.
    """
    requests = _requests(function)
    loss = _loss_of(function)
    gradients = build_gradients(function.body.block, loss, list(requests))
    results = results_of(function)
    for (_, name), gradient in zip(requests.items(), gradients, strict=True):
        if gradient is not None:
            results.append((gradient, described("gradient", name)))
    replace_results(function, results)


def remove_gradient_stops(module: ModuleOp) -> None:
    """Replace every `nn.stop_gradient` by its operand: there is nothing left to stop."""
    for op in list(module.walk()):
        if isinstance(op, StopGradientOp):
            Rewriter.replace_op(op, [], [op.x])


def _requests(function: FuncOp) -> dict[Request, str]:
    """What is asked of the engine, with the name of each parameter, in argument order."""
    problems = DiagnosticCollector()
    requests: dict[Request, str] = {}
    for value, attributes in zip(function.args, argument_attributes(function), strict=True):
        if MARK not in attributes:
            continue
        name = name_of(attributes)
        try:
            requests[_request(value, attributes)] = name
        except ValueError as error:
            problems.add(f"parameter {quote(name)} cannot be trained: {error}")
    problems.raise_if_any()
    if not requests:
        raise PockError(f"@{function.sym_name.data} trains no parameter: apply a scheme first")
    return requests


def _request(value: SSAValue, attributes: Attributes) -> Request:
    if kind_of(attributes) != "parameter":
        raise ValueError(f"it is of kind {quote(kind_of(attributes))}")
    if not is_differentiable(value):
        raise ValueError(f"its type {value.type} has no gradient")
    return Request(value, trained_slice(attributes[MARK], tensor_type(value)))


def _loss_of(function: FuncOp) -> SSAValue:
    losses = [value for value, entry in results_of(function) if kind_of(entry) == "loss"]
    if len(losses) != 1:
        raise PockError(f"@{function.sym_name.data} should return one loss, not {len(losses)}")
    return losses[0]


@dataclass(frozen=True)
class AutodiffPass(ModulePass):
    """See the module's text."""

    name = "autodiff"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = find_function(op, "train")
        differentiate(function)
        remove_gradient_stops(op)
        function.sym_name = StringAttr("train_step")
        op.attributes["pock.level"] = StringAttr("train")
