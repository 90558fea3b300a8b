"""Loss functions. Mean squared error is composed of nn.sub, nn.square and nn.mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import between, expect_shape, one_of, ranked
from pock_ir.dialects.fields import integer_property, number_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, number, require, text
from pock_ir.types import Array, dtype_of, num_elements, tensor

REDUCTIONS = ("mean", "sum")


class CrossEntropyBase(PockOp):
    """What cross entropy and its gradient share.

    logits: floats [N, C]; labels: i32 or i64 [N]. A row whose label is ignore_index counts for
    nothing; any other label is clamped to 0..C-1 (the program checks its inputs before).
    With label_smoothing s the target is (1 - s) at the label plus s / C everywhere.
    """

    # Subclasses repeat these before their own: xDSL orders a subclass's operands first.
    logits = operand_def(TensorType)
    labels = operand_def(TensorType)
    ignore_index = integer_property()
    reduction = text_property()
    label_smoothing = number_property()

    def checked_rows(self) -> int:
        """The number N of rows. Raises VerifyException."""
        rows, classes = ranked(self.logits, "logits", 2)
        require(classes > 0, "logits should have at least one class")
        labels = ranked(self.labels, "labels", 1, "index")
        require(labels == (rows,), f"labels should have shape [{rows}], not {list(labels)}")
        one_of(self.reduction, REDUCTIONS, "reduction")
        between(self.label_smoothing, 0.0, 1.0, "label_smoothing")
        return rows

    def valid(self, labels: Array) -> Array:
        """Which rows count."""
        return labels != integer(self.ignore_index)

    def divisor(self, labels: Array) -> int:
        """What the sum over rows is divided by: the valid rows for "mean", 1 for "sum"."""
        return int(np.sum(self.valid(labels))) if text(self.reduction) == "mean" else 1

    def targets(self, labels: Array, logits: Array) -> Array:
        """The target distribution of each row, [N, C]."""
        smoothing, classes = number(self.label_smoothing), logits.shape[1]
        target = np.full_like(logits, smoothing / classes)
        target[np.arange(len(labels)), np.clip(labels, 0, classes - 1)] += 1 - smoothing
        return target


@irdl_op_definition
class CrossEntropyOp(CrossEntropyBase):
    """Cross entropy of logits against class labels, and the log normalizer of each row.

    logits: floats [N, C]; labels: i32 or i64 [N] -> loss [], log_normalizer [N] = log of the sum
    of exp(logits). loss = sum over valid rows and classes of target (log_normalizer - logit),
    for "mean" divided by the number of valid rows (NaN if there is none). See CrossEntropyBase.
    """

    name = "nn.cross_entropy"
    logits = operand_def(TensorType)
    labels = operand_def(TensorType)
    loss = result_def(TensorType)
    log_normalizer = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        rows = self.checked_rows()
        element = dtype_of(self.logits).type
        return [tensor((), element), tensor((rows,), element)]

    def evaluate(self, *args: Array) -> Sequence[Array]:
        logits, labels = widened(args[0]), args[1]
        peak = np.max(logits, axis=1, keepdims=True)
        normalizer = peak + np.log(np.sum(np.exp(logits - peak), axis=1, keepdims=True))
        target = self.targets(labels, logits)
        # A class without weight counts for nothing, even where its logit is -inf.
        costs = np.where(target == 0, 0, target * (normalizer - logits)).sum(axis=1)
        total = np.sum(np.where(self.valid(labels), costs, 0), dtype=logits.dtype)
        return np.divide(total, logits.dtype.type(self.divisor(labels))), normalizer[:, 0]

    def flops(self) -> int:
        """5 per logit: maximum, difference, exponential, sum, cost."""
        return 5 * num_elements(self.logits)


@irdl_op_definition
class CrossEntropyGradOp(CrossEntropyBase):
    """The gradient of nn.cross_entropy to its logits.

    logits: floats [N, C]; labels: [N]; log_normalizer: [N]; dloss: [] -> dlogits [N, C].
    dlogits = dloss (exp(logits - log_normalizer) - target) on valid rows, for "mean" divided by
    their number, and 0 on ignored rows. See CrossEntropyBase.
    """

    name = "train.cross_entropy_grad"
    logits = operand_def(TensorType)
    labels = operand_def(TensorType)
    log_normalizer = operand_def(TensorType)
    dloss = operand_def(TensorType)
    dlogits = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        rows = self.checked_rows()
        expect_shape(self.log_normalizer, "log_normalizer", (rows,), self.logits)
        expect_shape(self.dloss, "dloss", (), self.logits)
        return [self.logits.type]

    def evaluate(self, *args: Array) -> Array:
        logits, labels, normalizer, dloss = args
        logits, normalizer, dloss = widened(logits), widened(normalizer), widened(dloss)
        share = np.exp(logits - normalizer[:, None]) - self.targets(labels, logits)
        scale = dloss / logits.dtype.type(max(self.divisor(labels), 1))
        return np.where(self.valid(labels)[:, None], share * scale, 0)

    def flops(self) -> int:
        """4 per logit: difference, exponential, difference, product."""
        return 4 * num_elements(self.logits)
