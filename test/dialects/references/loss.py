"""What PyTorch computes for losses."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import loss
from pock_ir.op import integer, number, text
from references.torch_reference import backward


def entropy(op, logits, labels):
    return F.cross_entropy(
        logits,
        labels.long(),
        ignore_index=integer(op.ignore_index),
        reduction=text(op.reduction),
        label_smoothing=number(op.label_smoothing),
    )


def cross_entropy(op, logits, labels):
    return entropy(op, logits, labels), torch.logsumexp(logits, 1)


def cross_entropy_grad(op, logits, labels, log_normalizer, dloss):
    return backward(lambda logits: entropy(op, logits, labels), dloss, logits)[0]


REFERENCES = {
    loss.CrossEntropyOp: cross_entropy,
    loss.CrossEntropyGradOp: cross_entropy_grad,
}
