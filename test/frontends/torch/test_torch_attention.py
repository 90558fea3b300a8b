"""Attention with masks that a program is given, some of which hide every key from a query."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch_import import check_model

from pock.compiler import Job
from pock.frontends import import_model
from pock.verify import verify_program
from pock_ir.interpret import find_function

LOWEST = torch.finfo(torch.float32).min
attend = F.scaled_dot_product_attention

KEEP = torch.tensor([[True, True, False, True, False], [False] * 5])
"""[N, S]: the second sample has no key."""

LEFT = torch.tensor([[False, True, True, True, True], [True] * 5])
"""The first key is padding: together with a causal mask, the first query has no key."""


class Masked(nn.Module):
    """Self-attention of `form(q, k, v, mask)` on heads [N, H, T, D]; projections are trained."""

    def __init__(self, form: Callable[..., Tensor]) -> None:
        super().__init__()
        self.form = form
        self.query, self.key, self.value = (nn.Linear(6, 6) for _ in range(3))
        self.bias = nn.Parameter(torch.randn(1, 2, 5, 5))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (2, 3)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        needed = (self.bias,) if self.form is trained_bias else ()
        return self.form(q, k, v, mask, *needed).transpose(1, 2).flatten(2)


def keys(mask: Tensor) -> Tensor:
    return mask[:, None, None, :]


def added(mask: Tensor, hide: float) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, hide)


def causal(mask: Tensor) -> Tensor:
    return keys(mask) & torch.ones(5, 5, dtype=torch.bool).tril()


def trained_bias(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
    return attend(q, k, v, bias.masked_fill(~keys(mask), -inf))


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / 3**0.5


FORMS: dict[str, tuple[Callable[..., Tensor], Tensor]] = {
    "boolean": (lambda q, k, v, m: attend(q, k, v, keys(m)), KEEP),
    "boolean and causal": (lambda q, k, v, m: attend(q, k, v, causal(m)), LEFT),
    "minus infinity": (lambda q, k, v, m: attend(q, k, v, added(keys(m), -inf)), KEEP),
    "lowest": (lambda q, k, v, m: attend(q, k, v, added(keys(m), LOWEST)), KEEP),
    "float input": (lambda q, k, v, m: attend(q, k, v, keys(m)), added(KEEP, -inf)),
    "of queries": (lambda q, k, v, m: attend(q, k, v, m[:, None, :, None]), KEEP),
    "dims repeat in part": (
        lambda q, k, v, m: attend(
            *(x.unflatten(1, (2, 1)) for x in (q, k, v)), m[:, None, None, None]
        ).flatten(1, 2),
        KEEP,
    ),
    "trained bias": (trained_bias, KEEP),
    "dropped": (lambda q, k, v, m: attend(q, k, v, keys(m), 0.25), KEEP),
    "by hand, lowest": (
        lambda q, k, v, m: scores(q, k).masked_fill(~keys(m), LOWEST).softmax(-1) @ v,
        KEEP,
    ),
    "by hand, lowest is added": (
        lambda q, k, v, m: (scores(q, k) + added(keys(m), LOWEST)).softmax(-1) @ v,
        KEEP,
    ),
}

NAN: dict[str, tuple[Callable[..., Tensor], Tensor]] = {
    "by hand": (
        lambda q, k, v, m: scores(q, k).masked_fill(~keys(m), -inf).softmax(-1) @ v,
        KEEP,
    ),
    "by hand, added": (
        lambda q, k, v, m: (scores(q, k) + added(keys(m), -inf)).softmax(-1) @ v,
        KEEP,
    ),
}


def arguments() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 5, 6), torch.randn(2, 5, 6)


class All(nn.Module):
    """Every form with projections of its own: one compilation instead of many."""

    def __init__(self) -> None:
        super().__init__()
        self.forms = nn.ModuleList(Masked(form) for form, _ in FORMS.values())

    def forward(self, x: Tensor, masks: list[Tensor]) -> Tensor:
        results = [form(x, mask) for form, mask in zip(self.forms, masks, strict=True)]
        return torch.stack(results)


def test_compiled_agrees() -> None:
    """Loss, gradients and updated tensors, in C."""
    x, target = arguments()
    masks = [mask for _, mask in FORMS.values()]
    job = Job(All(), (x, masks), target.expand(len(masks), *target.shape), "mse")
    ops = find_function(import_model(job).module, "train").body.block.ops
    by_hand = sum("by hand" in name for name in FORMS)
    assert [op.name for op in ops].count("nn.attention") == len(FORMS) - by_hand
    # The flash kernel of PyTorch loses a factor of S in the gradients of a row of one number.
    with sdpa_kernel(SDPBackend.MATH):
        found = verify_program(job, 1)
    assert found.passed, "\n".join(str(row)[:200] for row in found.differing()[:10])


@pytest.mark.parametrize("name", NAN)
def test_nan_is_where_it_is_in_torch(name: str) -> None:
    form, mask = NAN[name]
    x, target = arguments()
    check_model(Masked(form), (x, mask), target, F.mse_loss)


class Layer(nn.Module):
    """nn.MultiheadAttention with a padding mask."""

    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        return self.attention(x, x, x, ~keep, need_weights=self.need_weights)[0]


@pytest.mark.parametrize("need_weights", [True, False])
def test_layer_with_padding(need_weights: bool) -> None:
    """With weights its softmax gives NaN for the second sample, without it gives 0.

    The fast path of inference, which is not what is exported, gives NaN in both cases.
    """
    x, target = arguments()
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        check_model(Layer(need_weights), (x, KEEP), target, F.mse_loss)
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
