"""What PyTorch computes for attention."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import attention
from pock_ir.dialects.dropout import keep_mask
from pock_ir.op import flag, integer, number, text
from references.torch_reference import backward


def heads_first(op, x):
    return x.transpose(1, 2) if text(op.layout) == "bthd" else x


def visible(op, q, k, rest):
    """What no condition hides; None if there is no condition."""
    mask = rest[0] if text(op.mask) == "boolean" else None
    if not flag(op.causal):
        return mask
    causal = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    return causal if mask is None else causal & mask


def scores(op, q, k, rest):
    """Hidden scores are -inf, or one large negative number where rows of them are uniform."""
    result = q @ k.mT * number(op.scale)
    if text(op.mask) == "additive":
        result = result + rest[0]
    seen = visible(op, q, k, rest)
    if seen is None:
        return result
    is_uniform = text(op.masked_rows) == "uniform"
    return result.masked_fill(~seen, torch.finfo(q.dtype).min if is_uniform else -torch.inf)


def keep_factor(op, q, k, rest):
    """Dropout's factor; it is pock's own, checked against published vectors elsewhere."""
    p, size = number(op.dropout), (*q.shape[:3], k.shape[2])
    seed, step = rest[-2].numpy(), rest[-1].numpy()
    keep = torch.from_numpy(keep_mask(size, seed, step, p, integer(op.stream)))
    return keep.to(q.dtype) / (1 - p)


def attend(op, q, k, v, rest):
    q, k, v = (heads_first(op, x) for x in (q, k, v))
    is_zero = text(op.masked_rows) == "zero"
    if (
        number(op.dropout) == 0
        and is_zero
        and not (flag(op.causal) and text(op.mask) == "additive")
    ):
        mask = rest[0] if text(op.mask) == "additive" else visible(op, q, k, rest)
        out = F.scaled_dot_product_attention(q, k, v, mask, scale=number(op.scale))
    else:
        weights = torch.softmax(scores(op, q, k, rest), -1)
        if is_zero:
            weights = weights.nan_to_num(0.0)
        if number(op.dropout) > 0:
            weights = weights * keep_factor(op, q, k, rest)
        out = weights @ v
    return heads_first(op, out)


def attention_forward(op, q, k, v, *rest):
    s = scores(op, heads_first(op, q), heads_first(op, k), rest)
    normalizer = torch.logsumexp(s, -1)
    unseen = 0.0 if text(op.masked_rows) == "zero" else -torch.inf
    # Large negative numbers of uniform rows stand for -inf.
    blind = s.amax(-1) <= torch.finfo(s.dtype).min
    return attend(op, q, k, v, rest), normalizer.masked_fill(blind, unseen)


def attention_grad(op, dout, q, k, v, out, log_normalizer, *rest):
    return backward(lambda q, k, v: attend(op, q, k, v, rest), dout, q, k, v)


REFERENCES = {
    attention.AttentionOp: attention_forward,
    attention.AttentionGradOp: attention_grad,
}
