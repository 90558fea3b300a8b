"""Mark what is trained: the update scheme, from one word or from rules over parameter names.

Each parameter of @train that the scheme updates gets `pock.train`: a unit attribute, or the
slice {axis, begin, size} of the stored tensor where only some channels are updated.

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @train(
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "fc.weight"},
        %b: tensor<2xf32> {pock.kind = "parameter", pock.name = "fc.bias"},
        %x: tensor<4x3xf32> {pock.kind = "input", pock.name = "x"}
      ) -> (tensor<f32> {pock.kind = "loss"}) {
        %y = nn.linear %x, %w {weight_layout = "oi"}
          : (tensor<4x3xf32>, tensor<2x3xf32>) -> tensor<4x2xf32>
        %c = nn.broadcast %b {shape = array<i64: 4, 2>, axes = array<i64: 1>}
          : (tensor<2xf32>) -> tensor<4x2xf32>
        %z = nn.add %y, %c : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
        %loss = nn.sum %z {axes = array<i64: 0, 1>} : (tensor<4x2xf32>) -> tensor<f32>
        func.return %loss : tensor<f32>
      }
    }
after:
    builtin.module attributes {pock.level = "nn"} {
      func.func @train(
        %w: tensor<2x3xf32> {pock.kind = "parameter", pock.name = "fc.weight",
          pock.train = {axis = 1 : i64, begin = 0 : i64, size = 2 : i64}},
        %b: tensor<2xf32> {pock.kind = "parameter", pock.name = "fc.bias", pock.train},
        %x: tensor<4x3xf32> {pock.kind = "input", pock.name = "x"}
      ) -> (tensor<f32> {pock.kind = "loss"}) {
        %y = nn.linear %x, %w {weight_layout = "oi"}
          : (tensor<4x3xf32>, tensor<2x3xf32>) -> tensor<4x2xf32>
        %c = nn.broadcast %b {shape = array<i64: 4, 2>, axes = array<i64: 1>}
          : (tensor<2xf32>) -> tensor<4x2xf32>
        %z = nn.add %y, %c : (tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x2xf32>
        %loss = nn.sum %z {axes = array<i64: 0, 1>} : (tensor<4x2xf32>) -> tensor<f32>
        func.return %loss : tensor<f32>
      }
    }
options: apply-scheme{update="{'rules': [{'parameters': '*'}, {'parameters': 'fc.weight', 'ratio':
    0.6}]}"}
unchanged: every op.
Rules: see `scheme_rules`; files: `scheme_file`; blocks, head and biases: `network`.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from pock_ir.interpret import find_function
from pock_ir.passes.network import network_of
from pock_ir.passes.scheme_file import option_text, parse_update
from pock_ir.passes.scheme_rules import Scheme, resolve
from pock_ir.passes.signature import argument_attributes, set_argument_attributes
from pock_ir.passes.trained import MARK


def apply_scheme(function: FuncOp, scheme: Scheme) -> None:
    """Mark the parameters that `scheme` trains; earlier marks are removed.

    Raises PockError as `resolve` does.
    """
    network = network_of(function)
    marks = resolve(scheme, network)
    attributes = [
        {key: value for key, value in entry.items() if key != MARK}
        for entry in argument_attributes(function)
    ]
    for parameter in network.parameters:
        if parameter.name in marks:
            attributes[parameter.index][MARK] = marks[parameter.name]
    set_argument_attributes(function, attributes)


@dataclass(frozen=True)
class ApplySchemePass(ModulePass):
    """See the module's text.

    update: what `scheme_file.parse_update` reads: "full", "head", "last:K", "bias", a file, or the
    text of a scheme as `scheme_file.option_text` writes it.
    """

    name = "apply-scheme"

    update: str = "full"

    @staticmethod
    def of(scheme: Scheme) -> ApplySchemePass:
        """The pass that applies `scheme`."""
        return ApplySchemePass(option_text(scheme))

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        apply_scheme(find_function(op, "train"), parse_update(self.update))
