"""Every op has every facet; and the check that says so notices what is missing."""

import pytest
from completeness import gaps
from samples import all_samples
from xdsl.dialects.builtin import TensorType
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects import all_dialects, all_ops
from pock_ir.dialects.elementwise import ReluOp
from pock_ir.op import PockOp
from pock_ir.passes.autodiff.facet import VJP

OPS = [op for op in all_ops() if op.name.startswith(("nn.", "train."))]
SAMPLED = {sample.op_type for sample in all_samples()}


def has_gradient(op_type):
    return not VJP.missing([op_type])


@pytest.mark.parametrize("op_type", OPS, ids=lambda op: op.name)
def test_every_op_is_complete(op_type):
    assert gaps([op_type], SAMPLED, has_gradient) == []


def test_every_sample_counts_work():
    # Moving data costs no floating-point operation; everything else some.
    for sample in all_samples():
        flops = sample.op().flops()
        assert isinstance(flops, int) and flops >= 0, sample


class Copies(PockOp):
    """The methods of an op."""

    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self):
        return [self.x.type]

    def evaluate(self, *args):
        return args[0]


@irdl_op_definition
class UnfinishedOp(Copies):
    """An op that was added in one place only."""

    name = "nn.unfinished"


@irdl_op_definition
class UndocumentedOp(Copies):
    name = "nn.undocumented"


def test_a_missing_gradient_and_missing_samples_are_named():
    assert gaps([UnfinishedOp], SAMPLED, has_gradient) == [
        "nn.unfinished has no gradient rule or refusal",
        "nn.unfinished has no samples",
    ]


def test_a_missing_gradient_alone_is_named():
    assert gaps([UnfinishedOp], {UnfinishedOp}, has_gradient) == [
        "nn.unfinished has no gradient rule or refusal"
    ]


def test_missing_samples_alone_are_named():
    assert gaps([ReluOp], SAMPLED - {ReluOp}, has_gradient) == ["nn.relu has no samples"]


def test_a_missing_docstring_is_named():
    assert gaps([UndocumentedOp], {UndocumentedOp}, lambda _: True) == [
        "nn.undocumented has no docstring"
    ]


def test_an_op_without_methods_is_named():
    @irdl_op_definition
    class EmptyOp(PockOp):
        """Says nothing."""

        name = "nn.empty"
        x = operand_def(TensorType)
        result = result_def(TensorType)

    assert gaps([EmptyOp], {EmptyOp}, lambda _: True) == [
        "nn.empty has no inference",
        "nn.empty has no reference semantics",
    ]


def test_ops_belong_to_the_dialect_they_are_named_after():
    for dialect in all_dialects():
        for op in dialect.operations:
            assert op.name.startswith(f"{dialect.name}.")
