"""What PyTorch computes for embeddings."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import embedding
from pock_ir.op import integer
from references.torch_reference import backward


def lookup(op, table, ids):
    padding = integer(op.padding_index)
    ids = ids.clamp(0, table.shape[0] - 1)
    return F.embedding(ids, table, padding_idx=None if padding < 0 else padding)


def embedding_grad(op, ids, dy):
    table = torch.zeros((integer(op.rows), dy.shape[-1]), dtype=dy.dtype)
    return backward(lambda table: lookup(op, table, ids), dy, table)[0]


REFERENCES = {
    embedding.EmbeddingOp: lookup,
    embedding.EmbeddingGradOp: embedding_grad,
}
