"""BERT encoders (Devlin et al., arXiv 1810.04805) with Hugging Face's tensor names.

Differences from Hugging Face that change no result: without token types row 0 of their table is
added to every position, positions are a slice of their table, and the word table has no padding
row (a masked token gets no gradient anyway).
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-12


@dataclass(frozen=True)
class BertConfig:
    """Sizes of one encoder.  `hidden` is the width of the feed-forward layer.

    `dropout` applies after embeddings and before residual additions, `attention_dropout` to
    attention weights; both act in training mode only.
    """

    layers: int
    width: int
    heads: int
    hidden: int
    vocabulary: int = 30522
    positions: int = 512
    token_types: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def without_dropout(self) -> "BertConfig":
        """The same sizes with both dropout rates 0."""
        return replace(self, dropout=0.0, attention_dropout=0.0)


BERT_BASE = BertConfig(layers=12, width=768, heads=12, hidden=3072)
MINILM_L6 = BertConfig(layers=6, width=384, heads=12, hidden=1536)
MINILM_L3 = BertConfig(layers=3, width=384, heads=12, hidden=1536)
# Small enough for a test to run in milliseconds, with more than one of everything.
TINY = BertConfig(layers=2, width=32, heads=2, hidden=64, vocabulary=101, positions=16)


class Embeddings(nn.Module):
    """Sum of word, position and type vectors, normalised: i64[N, L] -> f32[N, L, width]."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.width)
        self.position_embeddings = nn.Embedding(config.positions, config.width)
        self.token_type_embeddings = nn.Embedding(config.token_types, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        words = self.word_embeddings(input_ids)
        positions = self.position_embeddings.weight[: input_ids.shape[1]]
        if token_type_ids is None:
            types = self.token_type_embeddings.weight[0]
        else:
            types = self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(words + types + positions))


class SelfAttention(nn.Module):
    """Multi-head attention before its output projection.

    x: f32[N, L, width]; mask: bool[N, 1, 1, L], true where a token may be attended to.
    Returns f32[N, L, width].
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        dropout = self.attention_dropout if self.training else 0.0
        query, key, value = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        return y.transpose(1, 2).reshape(x.shape)

    def _split(self, x: Tensor) -> Tensor:
        count, length, width = x.shape
        return x.view(count, length, self.heads, width // self.heads).transpose(1, 2)


class ResidualOutput(nn.Module):
    """LayerNorm(dropout(dense(x)) + shortcut).

    x: f32[N, L, inputs]; shortcut: f32[N, L, width].  Returns f32[N, L, width].
    """

    def __init__(self, inputs: int, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(inputs, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(x)) + shortcut)


class Attention(nn.Module):
    """Self attention, output projection, residual, norm: f32[N, L, width] -> f32[N, L, width]."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config.width, config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.self(x, mask), x)


class Intermediate(nn.Module):
    """The widening half of the feed-forward layer: f32[N, L, width] -> f32[N, L, hidden]."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.width, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    """Attention and feed-forward, each with residual and norm: f32[N, L, width] -> the same."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config.hidden, config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class Encoder(nn.Module):
    """The stack of layers, names encoder.layer.0...: f32[N, L, width] -> f32[N, L, width]."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Pooler(nn.Module):
    """tanh(dense(first token)): f32[N, L, width] -> f32[N, width]."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.dense(x[:, 0]))


class BertModel(nn.Module):
    """A BERT encoder without a head.

    input_ids: i64[N, L], L at most config.positions.
    attention_mask: i64[N, L] or bool[N, L], nonzero for tokens, zero for padding.
    token_type_ids: i64[N, L], or None for all zero.
    Returns f32[N, L, width].  With `pooler` the model also has the parameters pooler.dense.*,
    which forward does not use; a classifier does.
    """

    def __init__(self, config: BertConfig, pooler: bool = False):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if pooler else None
        _initialise(self)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        mask = attention_mask[:, None, None, :] != 0
        return self.encoder(self.embeddings(input_ids, token_type_ids), mask)


class BertClassifier(nn.Module):
    """A BERT encoder, pooling and one linear layer; names bert.*, classifier.weight and .bias.

    pooling "mean": the mean of the output over unmasked tokens; every row needs at least one.
    pooling "pooler": BERT's own pooler, tanh of a linear layer on the first token.
    Arguments as for BertModel; returns logits f32[N, classes].
    Raises ValueError for another pooling.
    """

    def __init__(self, config: BertConfig, classes: int, pooling: str = "mean"):
        super().__init__()
        if pooling not in ("mean", "pooler"):
            raise ValueError(f"pooling must be 'mean' or 'pooler', got {pooling!r}")
        self.bert = BertModel(config, pooler=pooling == "pooler")
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, classes)
        _initialise(self.classifier)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        tokens = self.bert(input_ids, attention_mask, token_type_ids)
        if self.bert.pooler is None:
            pooled = mean_over_tokens(tokens, attention_mask)
        else:
            pooled = self.bert.pooler(tokens)
        return self.classifier(self.dropout(pooled))


def mean_over_tokens(tokens: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over unmasked tokens: f32[N, L, width], i64 or bool[N, L] -> f32[N, width]."""
    weights = attention_mask.to(tokens.dtype)[:, :, None]
    return (tokens * weights).sum(1) / weights.sum(1)


def bert_model(config: BertConfig, pooler: bool = False) -> BertModel:
    """An encoder with random weights: i64[N, L], i64[N, L] -> f32[N, L, width]."""
    return BertModel(config, pooler)


def bert_classifier(config: BertConfig, classes: int, pooling: str = "mean") -> BertClassifier:
    """A classifier with random weights: i64[N, L], i64[N, L] -> logits f32[N, classes]."""
    return BertClassifier(config, classes, pooling)


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
