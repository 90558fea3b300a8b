"""The loss as an exported graph of its own, behind the model's.

It is traced apart from the model, on zeros in the shapes of the model's outputs, so that a module,
an exported program and every mode of a model are treated alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import ExportedProgram

from pock.frontends.common.loss import LOGITS, named_loss
from pock.frontends.torch.capture import Example, capture_module
from pock.frontends.torch.source import Frame
from pock.frontends.torch.structure import (
    Leaf,
    input_leaves,
    leaf_names,
    output_example,
    output_leaves,
    zeros_of,
)
from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.types import dtype_of, shape_of

LossFunction = Callable[[Any, Any], torch.Tensor]
Loss = str | nn.Module | LossFunction

LOSSES: Mapping[str, LossFunction] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
}
"""Losses that have a name; both are means."""


@dataclass(frozen=True)
class Objective:
    """A captured loss.

    outputs: all outputs of the model; fed: the names of those that the loss takes, in its order.
    inputs: the loss's own names for what it takes. targets: what the caller gives.
    result: the loss's own name for the scalar. frame: where the loss is defined, if that is known;
    PyTorch records lines of functions called `forward` only.
    """

    program: ExportedProgram
    outputs: list[Leaf]
    fed: list[Leaf]
    inputs: list[str]
    targets: list[Leaf]
    result: str
    frame: Frame | None


class _Objective(nn.Module):
    """loss(outputs, targets) as a module, which is what can be exported."""

    def __init__(self, loss: LossFunction | nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Any, targets: Any) -> torch.Tensor:
        return self.loss(outputs, targets)


def objective_for(known: Objective, model: ExportedProgram) -> Objective | None:
    """`known` behind another program whose outputs have the same names and types, else None."""
    outputs = output_leaves(model)
    if [(leaf.name, leaf.type) for leaf in outputs] != [
        (leaf.name, leaf.type) for leaf in known.outputs
    ]:
        return None
    by_name = {leaf.name: leaf for leaf in outputs}
    return replace(known, outputs=outputs, fed=[by_name[leaf.name] for leaf in known.fed])


def capture_loss(loss: Loss, model: ExportedProgram, targets: Any) -> Objective:
    """Trace `loss` on the outputs of `model`.

    Raises PockError for an unknown name, a model without outputs, a loss that cannot be traced
    and one that is not a float scalar.
    """
    outputs = output_leaves(model)
    if not outputs:
        raise PockError("the model returns no tensor that a loss could take")
    function = _function(loss)
    example, fed = output_example(model), outputs
    if isinstance(loss, str | nn.Module):
        fed = [next((leaf for leaf in outputs if leaf.name == LOGITS), outputs[0])]
        example = zeros_of(model, fed[0])
    module = _Objective(function)
    module.train(getattr(loss, "training", True))
    program = capture_module(
        module,
        Example((example, targets), {}),
        training=True,
        what="the loss",
        active_inputs=len(fed),
    )
    inputs = input_leaves(program)
    given = zip(leaf_names(targets, "target"), inputs[len(fed) :], strict=True)
    return Objective(
        program,
        outputs,
        fed,
        [leaf.node for leaf in inputs],
        [Leaf(name, leaf.node, leaf.type) for name, leaf in given],
        _scalar(program),
        _frame_of(loss),
    )


def _frame_of(loss: Loss) -> Frame | None:
    code = getattr(loss, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if isinstance(code, CodeType) else None


def _function(loss: Loss) -> LossFunction | nn.Module:
    if not isinstance(loss, str):
        return loss
    return named_loss(loss, LOSSES)


def _scalar(program: ExportedProgram) -> str:
    results = output_leaves(program)
    good = (
        len(results) == 1 and not shape_of(results[0].type) and dtype_of(results[0].type).is_float
    )
    if not good:
        found = ", ".join(str(leaf.type) for leaf in results) or "nothing"
        raise PockError(
            Diagnostic(
                f"the loss should be one float scalar, not {found}",
                help="reduce it, for example with mean()",
            )
        )
    return results[0].node
