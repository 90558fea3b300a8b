"""One line for each operator and each way of using it: a name, a function of tensors, tensors.

Shapes are the smallest that tell axes apart (all sizes differ); values include what is special.
"""

import torch
import torch.nn.functional as F

X = torch.tensor([[-4.0, -3.0, -1.0, -0.5], [0.0, 0.5, 1.0, 2.0], [3.0, 6.0, 7.0, 0.25]])
Y = torch.tensor([[1.0, -3.0, 2.0, -0.5], [0.5, -0.5, 1.0, 4.0], [2.0, 5.0, -7.0, 0.75]])
POSITIVE = X.abs() + 0.125
ROW = torch.tensor([0.5, -1.0, 2.0, 0.0])
COLUMN = torch.tensor([[2.0], [-1.0], [0.5]])
CUBE = torch.linspace(-2, 3, 24).reshape(2, 3, 4)
CUBES = torch.linspace(-1, 1, 40).reshape(2, 4, 5)
MATRIX = torch.linspace(-1, 1, 20).reshape(4, 5)
PICTURE = torch.sin(torch.arange(2 * 4 * 6 * 8.0)).reshape(2, 4, 6, 8)
FILTER = torch.cos(torch.arange(6 * 4 * 3 * 2.0)).reshape(6, 4, 3, 2)
GROUPED = torch.cos(torch.arange(8 * 2 * 3 * 3.0)).reshape(8, 2, 3, 3)
SQUARE_FILTER = torch.cos(torch.arange(5 * 4 * 3 * 3.0)).reshape(5, 4, 3, 3)
WINDOW = torch.cos(torch.arange(4 * 4 * 3.0)).reshape(4, 4, 3)
CHANNELS = torch.tensor([0.5, -1.0, 2.0, 0.1])
COUNTS = torch.tensor([[3, -1, 0, 2], [5, 4, -2, 1], [0, 0, 7, 1]])
TRUTH = torch.tensor([[True, False, True, True], [False] * 4, [True] * 4])
LABELS = torch.tensor([1, 3, 0])
IGNORED = torch.tensor([1, -100, 0])
Q, K, V = (
    torch.sin(i + torch.arange(2 * 3 * n * 4.0)).reshape(2, 3, n, 4)
    for i, n in enumerate((5, 6, 6))
)
CAUSAL = torch.sin(torch.arange(2 * 3 * 5 * 4.0)).reshape(2, 3, 5, 4)
HEADS = torch.sin(torch.arange(2 * 1 * 6 * 4.0)).reshape(2, 1, 6, 4)
KEYS = torch.tensor([[True] * 6, [True, True, False, False, False, True]])[:, None, None, :]
BLIND = torch.tensor([[True] * 6, [False] * 6])[:, None, None, :]
BIAS = torch.linspace(-1, 1, 30).reshape(5, 6)


def wave(*shape):
    return torch.sin(1.7 * torch.arange(torch.Size(shape).numel()).double()).reshape(shape)


def layers(gates, cells, directions, count, inputs, biases=True):
    """The weights of a recurrent network, as its module would list them."""
    found = []
    for layer in range(count):
        width = inputs if layer == 0 else directions * cells
        for _ in range(directions):
            found += [wave(gates * cells, width), wave(gates * cells, cells) * 0.5]
            found += [wave(gates * cells), wave(gates * cells) * 0.3] if biases else []
    return found


# Made before anything is traced: a constant is then the same number on both sides.
BOTH_WAYS = layers(4, 3, 2, 2, 4), [wave(4, 1, 3), wave(4, 1, 3) + 0.2]
NO_BIAS = layers(4, 5, 1, 1, 2, biases=False), [wave(1, 2, 5), wave(1, 2, 5) - 0.1]
UNITS = layers(3, 5, 1, 2, 2), [wave(2, 2, 5)]
ONE_STEP = layers(4, 2, 1, 1, 4), layers(3, 2, 1, 1, 4), [wave(3, 2), wave(3, 2) + 0.1]


def like(x, tensors):
    return [tensor.to(x.dtype) for tensor in tensors]


def lstm(x):
    """Two layers in both directions; the output and both last states."""
    weights, state = (like(x, tensors) for tensors in BOTH_WAYS)
    parts = torch.lstm(x[:, None], state, weights, True, 2, 0.0, False, True, False)
    return torch.cat([part.flatten() for part in parts])


def lstm_first(x):
    """The batch is the first dim; no biases."""
    weights, state = (like(x, tensors) for tensors in NO_BIAS)
    rows = x.reshape(2, 3, 2)
    return torch.lstm(rows, state, weights, False, 1, 0.0, False, False, True)[0]


def gru(x):
    weights, (state,) = (like(x, tensors) for tensors in UNITS)
    parts = torch.gru(x.reshape(3, 2, 2), state, weights, True, 2, 0.0, False, False, False)
    return torch.cat([part.flatten() for part in parts])


def cells(x):
    """One step of each kind of cell."""
    four, three, state = (like(x, tensors) for tensors in ONE_STEP)
    h, c = torch.lstm_cell(x, state, *four)
    return torch.stack([h, c, torch.gru_cell(x, state[0], *three)])


def written(x):
    """Assignments to parts of a tensor, of which one reaches its end."""
    y = x * 2
    y[1:, 2:] = x[:2, :2]
    y[:, -4] = x[:, 3]
    y[-1] = 0.5
    return y


UNARY = {
    "written": written,
    "lstm": lstm,
    "lstm_first": lstm_first,
    "gru": gru,
    "cells": cells,
    "abs": torch.abs,
    "erf": torch.erf,
    "exp": torch.exp,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 1.0),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": lambda x: F.elu(x, 0.7),
    "neg": torch.neg,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, 2.0, 5.0),
    "mish": F.mish,
    "logsigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "erfc": torch.erfc,
    "expm1": torch.expm1,
    "exp2": torch.exp2,
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    "trunc": lambda x: x.trunc(),
    "round": lambda x: x.round(),
    "remainder": lambda x: torch.remainder(x, 0.75) + torch.remainder(x, -3),
    "fmod": lambda x: torch.fmod(x, 0.75),
    "amin": lambda x: x.amin(1),
    "min": torch.min,
    "min_dim": lambda x: x.min(0).values,
    "max_dim": lambda x: x.max(1, keepdim=True).values,
    "prod": lambda x: x.prod(1),
    "prod_all": lambda x: x[1:].prod(),
    "cumsum": lambda x: x.cumsum(0),
    "flip": lambda x: x.flip(0, 1),
    "roll": lambda x: x.roll(1, 1),
    "reflect": lambda x: F.pad(x, (2, 1), mode="reflect"),
    "replicate": lambda x: F.pad(x[None], (1, 0, 2, 1), mode="replicate"),
    "circular": lambda x: F.pad(x[None], (1, 2, 0, 3), mode="circular"),
    "nearest": lambda x: F.interpolate(x[None], scale_factor=2.0),
    "nearest_2d": lambda x: F.interpolate(x[None, None], (7, 3)),
    "nearest_exact": lambda x: F.interpolate(x[None, None], (7, 3), mode="nearest-exact"),
    "linear_resize": lambda x: F.interpolate(x[None], 7, mode="linear"),
    "bilinear": lambda x: F.interpolate(x[None, None], (7, 3), mode="bilinear"),
    "bilinear_corners": lambda x: F.interpolate(
        x[None, None], scale_factor=(2.0, 1.5), mode="bilinear", align_corners=True
    ),
    "gathered": lambda x: x.gather(1, torch.tensor([[0, 3, 3], [1, 1, 2]])),
    "indexed": lambda x: x[:, torch.tensor([[0, -1], [2, 2]])],
    "selected": lambda x: x.index_select(1, torch.tensor([3, 0, 3])),
    "pow_tensor": lambda x: torch.pow(x.abs() + 0.5, x),
    "pow_base": lambda x: 2.0**x,
    "square": torch.square,
    "pow2": lambda x: x**2,
    "pow3": lambda x: x**3,
    "pow1": lambda x: x**1,
    "pow0": lambda x: x**0,
    "clamp": lambda x: x.clamp(-0.5, 1.0),
    "clamp_min": lambda x: x.clamp(min=0.5),
    "clamp_max": lambda x: x.clamp(max=0.5),
    "clamp_crossed": lambda x: x.clamp(2.0, 1.0),
    "add_number": lambda x: x + 1.5,
    "rsub": lambda x: 1 - x,
    "div_number": lambda x: x / 3,
    "dropout_eval": lambda x: F.dropout(x, 0.5, training=False),
    "dropout_zero": lambda x: F.dropout(x, 0.0),
    "dropout_all": lambda x: F.dropout(x, 1.0),
    "contiguous": lambda x: x.t().contiguous().t(),
    "normalize": lambda x: F.normalize(x, dim=1),
    "norm": lambda x: x.norm(dim=1),
    "norm1": lambda x: x.norm(p=1, dim=0),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "softmax0": lambda x: torch.softmax(x, 0),
    "logsumexp": lambda x: x.logsumexp(1),
    "sum": lambda x: x.sum(),
    "sum1": lambda x: x.sum(1),
    "sum_keep": lambda x: x.sum(0, keepdim=True),
    "mean": lambda x: x.mean(),
    "mean_last": lambda x: x.mean(-1, keepdim=True),
    "var": lambda x: x.var(1),
    "var_biased": lambda x: x.var(0, unbiased=False, keepdim=True),
    "std": lambda x: x.std(),
    "amax": lambda x: x.amax(1),
    "max": torch.max,
    "chunk": lambda x: x.chunk(2, 1)[1],
    "split": lambda x: x.split(3, 1)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "stack": lambda x: torch.stack([x, -x], 1),
    "select": lambda x: x[:, -2],
    "slice": lambda x: x[1:, ::3],
    "slice_clipped": lambda x: x[-9:2, 1:99],
    "flatten": lambda x: x.flatten(),
    "reshape": lambda x: x.reshape(2, -1),
    "transpose": lambda x: x.transpose(0, 1),
    "expand": lambda x: x[:, None].expand(-1, 5, -1),
    "squeeze": lambda x: x[None, :, None].squeeze(0).squeeze(),
    "repeat": lambda x: x.repeat(2, 1, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "pad": lambda x: F.pad(x, (1, -2, 0, 3), value=0.5),
    "pad_cut": lambda x: F.pad(x, (-1, 0)),
    "tril": torch.tril,
    "masked_fill": lambda x: x.masked_fill(x > 1, -9.0),
    "where": lambda x: torch.where(x > 0, x, 0.25),
    "glu": lambda x: F.glu(x, 1),
    "prelu": lambda x: F.prelu(x, x.new_full((1,), 0.3)),
    "lerp": lambda x: torch.lerp(x, -x, 0.3),
    "rms_norm": lambda x: F.rms_norm(x, (4,), eps=1e-3),
    "layer_norm": lambda x: F.layer_norm(x, (4,)),
    "new_full": lambda x: x + x.new_full((4,), 3.0),
    "zeros_like": lambda x: torch.zeros_like(x) + torch.ones(4) - x,
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
    "cat_nothing": lambda x: torch.cat([torch.tensor([]), x, x[:, :0]], dim=1),
    "eye": lambda x: x @ torch.eye(4, dtype=x.dtype) + torch.eye(3, 4),
    "polar": lambda x: x * torch.polar(torch.ones(4), torch.arange(4.0)).real,
    "detached": lambda x: x + torch.arange(4).detach(),
}
"""Functions of X, all of them differentiable."""

CASES = {
    **{name: (function, (X,)) for name, function in UNARY.items()},
    "log": (torch.log, (POSITIVE,)),
    "log1p": (torch.log1p, (POSITIVE,)),
    "log2": (lambda x: torch.log2(x) + torch.log10(x), (POSITIVE,)),
    "floor_divide": (lambda x, y: x // y + torch.div(x, y, rounding_mode="trunc"), (X, Y)),
    "integer_divide": (
        lambda n: n // 2 + n % -3 + torch.div(n, 2, rounding_mode="trunc"),
        (COUNTS,),
    ),
    "integer_fmod": (lambda n: torch.fmod(n, 3), (COUNTS,)),
    "integer_bits": (lambda n: (n & 6) | (n ^ ~n) ^ (n & n), (COUNTS,)),
    "truth_xor": (lambda t: t ^ ~t[:1] | torch.logical_xor(t, t[:, :1]), (TRUTH,)),
    "argmax": (lambda x: x.argmax(1) + x.argmin(1, keepdim=True)[:, 0], (X,)),
    "argmax_all": (lambda x: x.argmax() + x.argmin(), (X,)),
    "max_indices": (lambda x: x.max(1).indices + x.min(1).indices, (X,)),
    "any": (lambda t: torch.stack([t.any(1), t.all(1)]), (TRUTH,)),
    "any_all": (lambda n: n.any() & ~n.all(), (COUNTS,)),
    "isfinite": (lambda x: torch.stack([(1 / x).isfinite(), (1 / x).isinf()]), (X,)),
    "cumsum_integers": (lambda n: n.cumsum(1), (COUNTS,)),
    "one_hot": (lambda n: F.one_hot(n, 5), (LABELS,)),
    "sqrt": (torch.sqrt, (POSITIVE,)),
    "rsqrt": (torch.rsqrt, (POSITIVE,)),
    "reciprocal": (lambda x: 2 / x, (POSITIVE,)),
    "pow_half": (lambda x: x**0.5 + x**-0.5 + x**-1 + x**1.5, (POSITIVE,)),
    "pow_any": (lambda x: x**0.3, (POSITIVE,)),
    "add": (torch.add, (X, Y)),
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=2), (X, Y)),
    "add_row": (torch.add, (X, ROW)),
    "sub_column": (torch.sub, (X, COLUMN)),
    "mul_outer": (torch.mul, (ROW, COLUMN)),
    "div": (torch.div, (X, Y)),
    "maximum": (torch.maximum, (X, Y)),
    "minimum": (torch.minimum, (X, Y)),
    "clamp_tensor": (lambda x, y: x.clamp(min=y), (X, ROW)),
    "mixed_promotion": (lambda x, n: x * n + n, (X, COUNTS)),
    "truth_arithmetic": (lambda x, t: x * t + t, (X, TRUTH)),
    "integer_arithmetic": (lambda n: (n * 2 + 1 - n) ** 2, (COUNTS,)),
    "integer_division": (lambda n: n / 2, (COUNTS,)),
    "integer_sum": (lambda n: n.sum(1), (COUNTS,)),
    "truth_sum": (lambda t: t.sum(1), (TRUTH,)),
    "truth_or": (lambda t: t + (t * t), (TRUTH,)),
    "truth_equal": (lambda t: t == (t & ~t), (TRUTH,)),
    "compare": (
        lambda x, y: (x < y) | (x == y) & ~(x >= 2) | torch.logical_and(x != 0, y <= -3),
        (X, Y),
    ),
    "compare_mixed": (lambda x, n: x > n, (X, COUNTS)),
    "isnan": (lambda x: torch.isnan(torch.sqrt(x)), (X,)),
    "to_integer": (lambda x: x.to(torch.int32), (X,)),
    "to_truth": (lambda x: x.bool(), (X,)),
    "to_half_and_back": (lambda x: x.to(torch.bfloat16).float(), (X,)),
    "arange": (lambda n: n + torch.arange(3, 15, 3) + torch.arange(4), (COUNTS,)),
    "causal_mask": (lambda n: n * (torch.arange(4)[None] <= torch.arange(3)[:, None]), (COUNTS,)),
    "cat": (lambda x, y: torch.cat([x, y[:1]], 0), (X, Y)),
    "cat_promotes": (lambda x, n: torch.cat([x, n], 1), (X, COUNTS)),
    "linear": (F.linear, (CUBE, MATRIX.t().contiguous(), MATRIX[0])),
    "linear_vector": (F.linear, (ROW, MATRIX.t().contiguous())),
    "mm": (torch.mm, (X, MATRIX)),
    "addmm": (lambda b, x, w: torch.addmm(b, x, w, beta=0.5, alpha=2), (MATRIX[0], X, MATRIX)),
    "bmm": (torch.bmm, (CUBE, CUBES)),
    "baddbmm": (torch.baddbmm, (CUBES[:, :3], CUBE, CUBES)),
    "matmul_3_2": (torch.matmul, (CUBE, MATRIX)),
    "matmul_2_3": (torch.matmul, (X, CUBES)),
    "matmul_1_2": (torch.matmul, (ROW, MATRIX)),
    "matmul_3_1": (torch.matmul, (CUBE, ROW)),
    "matmul_1_1": (torch.matmul, (ROW, ROW)),
    "matmul_broadcast": (lambda a, b: torch.matmul(a[:, None], b), (CUBE, CUBES)),
    "einsum": (lambda a, b: torch.einsum("bik,bkj->bji", a, b), (CUBE, CUBES)),
    "mv": (torch.mv, (X, ROW)),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 3)),
        (PICTURE, FILTER, torch.arange(6.0)),
    ),
    "conv2d_single": (lambda x, w: F.conv2d(x[0], w), (PICTURE, FILTER)),
    "conv2d_grouped": (lambda x, w: F.conv2d(x, w, groups=2, padding=1), (PICTURE, GROUPED)),
    "conv2d_same": (lambda x, w: F.conv2d(x, w, padding="same"), (PICTURE, FILTER)),
    "conv2d_valid": (lambda x, w: F.conv2d(x, w, padding="valid"), (PICTURE, FILTER)),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2), (CUBES, WINDOW, CHANNELS)),
    "conv1d_single": (lambda x, w: F.conv1d(x[0], w, groups=2), (CUBES, WINDOW[:, :2])),
    "conv1d_same": (lambda x, w: F.conv1d(x, w[..., :2], padding="same"), (CUBES, WINDOW)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), (PICTURE,)),
    "max_pool2d_ceil": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), (PICTURE,)),
    "max_pool2d_dilated": (lambda x: F.max_pool2d(x, (2, 3), dilation=2), (PICTURE,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (PICTURE,)),
    "avg_pool2d_pad": (lambda x: F.avg_pool2d(x, 3, 2, 1), (PICTURE,)),
    "avg_pool2d_no_pad": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (PICTURE,)),
    "adaptive_1": (lambda x: F.adaptive_avg_pool2d(x, 1), (PICTURE,)),
    "adaptive_2x4": (lambda x: F.adaptive_avg_pool2d(x, (2, 4)), (PICTURE,)),
    "adaptive_uneven": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (PICTURE,)),
    "adaptive_repeated": (lambda x: F.adaptive_avg_pool2d(x[:, :, :1], (3, 11)), (PICTURE,)),
    "avg_pool2d_ceil": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        (PICTURE,),
    ),
    "avg_pool2d_partial": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (PICTURE,)),
    "mean_spatial": (lambda x: x.mean((2, 3), keepdim=True), (PICTURE,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (PICTURE,)),
    "batch_norm": (lambda x, m, v: F.batch_norm(x, m, v), (PICTURE, CHANNELS, CHANNELS.abs())),
    "batch_norm_affine": (
        lambda x, m, v, g, b: F.batch_norm(x, m, v, g, b, eps=0.1),
        (PICTURE, CHANNELS, CHANNELS.abs(), CHANNELS, CHANNELS),
    ),
    "batch_norm_no_statistics": (lambda x: F.batch_norm(x, None, None, training=True), (PICTURE,)),
    "instance_norm": (F.instance_norm, (PICTURE,)),
    "group_norm": (lambda x, g, b: F.group_norm(x, 2, g, b), (PICTURE, CHANNELS, CHANNELS)),
    "layer_norm_2d": (lambda x, g: F.layer_norm(x, (3, 4), g), (CUBE, X)),
    "rms_norm_affine": (lambda x, g: F.rms_norm(x, (4,), g), (CUBE, ROW)),
    "embedding": (lambda w, n: F.embedding(n, w), (X, LABELS % 3)),
    "embedding_padding": (lambda w, n: F.embedding(n, w, padding_idx=1), (X, LABELS % 3)),
    "index_select": (lambda w, n: w.index_select(0, n), (X, LABELS % 3)),
    "index": (lambda w, n: w[n], (X, torch.tensor([[0, -1], [2, -3]]))),
    "index_pairs": (lambda x, m, n: x[:, m, n], (CUBE, LABELS[:, None] % 3, -1 - LABELS)),
    "index_apart": (lambda x, m, n: x[m, :, n], (CUBE, -(LABELS % 2), LABELS[:, None].int())),
    "index_all": (lambda x, n: x[n, n - 1, n], (CUBE, LABELS % 2)),
    "cross_entropy": (F.cross_entropy, (X, LABELS)),
    "cross_entropy_sum": (lambda x, n: F.cross_entropy(x, n, reduction="sum"), (X, LABELS)),
    "cross_entropy_none": (lambda x, n: F.cross_entropy(x, n, reduction="none"), (X, IGNORED)),
    "cross_entropy_ignore": (F.cross_entropy, (X, IGNORED)),
    "cross_entropy_smooth": (lambda x, n: F.cross_entropy(x, n, label_smoothing=0.1), (X, IGNORED)),
    "cross_entropy_weight": (lambda x, n, w: F.cross_entropy(x, n, w.abs()), (X, IGNORED, ROW)),
    "cross_entropy_pixels": (
        lambda x, n: F.cross_entropy(x, n),
        (PICTURE, torch.arange(96).reshape(2, 6, 8) % 4),
    ),
    "cross_entropy_single": (lambda x, n: F.cross_entropy(x[0], n[0]), (X, LABELS)),
    "cross_entropy_probabilities": (
        lambda x, p: F.cross_entropy(x, p.softmax(1), label_smoothing=0.2),
        (X, Y),
    ),
    "nll_loss": (lambda x, n: F.nll_loss(F.log_softmax(x, 1), n), (X, IGNORED)),
    "mse_loss": (F.mse_loss, (X, Y)),
    "mse_loss_sum": (lambda x, y: F.mse_loss(x, y, reduction="sum"), (X, Y)),
    "l1_loss": (F.l1_loss, (X, Y)),
    "smooth_l1_loss": (F.smooth_l1_loss, (X, Y)),
    "huber_loss": (lambda x, y: F.huber_loss(x, y, delta=1.5), (X, Y)),
    "bce_with_logits": (
        lambda x, y: F.binary_cross_entropy_with_logits(x, torch.sigmoid(y)),
        (X, Y),
    ),
    "kl_div": (
        lambda x, y: F.kl_div(F.log_softmax(x, 1), y.softmax(1), reduction="batchmean"),
        (X, Y),
    ),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y), (X, Y)),
    "attention": (F.scaled_dot_product_attention, (Q, K, V)),
    "attention_causal": (
        lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True, scale=0.3),
        (CAUSAL,),
    ),
    "attention_boolean": (F.scaled_dot_product_attention, (Q, K, V, KEYS)),
    "attention_blind": (F.scaled_dot_product_attention, (Q, K, V, BLIND)),
    "attention_additive": (F.scaled_dot_product_attention, (Q, K, V, BIAS)),
    "attention_expanded": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m.expand(2, 3, 5, 6)),
        (Q, K, V, KEYS),
    ),
    "attention_3d": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q[0], k[0], v[0], m),
        (Q, K, V, BIAS),
    ),
    "attention_grouped": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        (Q, HEADS),
    ),
}
