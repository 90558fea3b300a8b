"""What PyTorch computes for the same op: one function per op, from the op and torch tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pock_ir.dialects import (
    attention,
    axis_map,
    conv,
    division,
    elementwise,
    embedding,
    functions,
    loss,
    matmul,
    norm,
    optimizer,
    pool,
    recurrent,
    reduce,
    scan,
    shape,
    softmax,
)
from pock_ir.dialects import gather as gathering
from pock_ir.dialects import rms_norm as rms_norms
from pock_ir.op import flag, integer, ints, number, text

TORCH_DTYPES = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "i1": torch.bool,
    "i8": torch.int8,
    "i32": torch.int32,
    "i64": torch.int64,
}


def backward(function, outputs, *inputs):
    """The gradients of `function(*inputs)` to its inputs, for the cotangent `outputs`."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    return torch.autograd.grad(function(*leaves), leaves, outputs)


# Elementwise -----------------------------------------------------------------------------------

UNARY = {
    elementwise.NegOp: torch.neg,
    elementwise.StopGradientOp: torch.clone,
    elementwise.AbsOp: torch.abs,
    elementwise.ExpOp: torch.exp,
    elementwise.LogOp: torch.log,
    elementwise.SqrtOp: torch.sqrt,
    elementwise.RsqrtOp: torch.rsqrt,
    elementwise.TanhOp: torch.tanh,
    elementwise.SigmoidOp: torch.sigmoid,
    elementwise.ErfOp: torch.erf,
    elementwise.ReluOp: torch.relu,
    elementwise.SiluOp: F.silu,
    elementwise.SquareOp: torch.square,
    elementwise.ReciprocalOp: torch.reciprocal,
    elementwise.HardSigmoidOp: F.hardsigmoid,
    elementwise.HardSwishOp: F.hardswish,
    elementwise.AddOp: torch.add,
    elementwise.SubOp: torch.sub,
    elementwise.MulOp: torch.mul,
    elementwise.DivOp: torch.div,
    elementwise.MaximumOp: torch.maximum,
    elementwise.MinimumOp: torch.minimum,
    elementwise.LogicalAndOp: torch.logical_and,
    elementwise.LogicalOrOp: torch.logical_or,
    elementwise.LogicalNotOp: torch.logical_not,
    elementwise.SelectOp: torch.where,
    functions.SinOp: torch.sin,
    functions.CosOp: torch.cos,
    functions.Expm1Op: torch.expm1,
    functions.Log1pOp: torch.log1p,
    functions.ErfcOp: torch.erfc,
    functions.FloorOp: torch.floor,
    functions.CeilOp: torch.ceil,
    functions.TruncOp: torch.trunc,
    functions.RoundOp: torch.round,
    functions.PowOp: torch.pow,
}


def gelu(op, x):
    return F.gelu(x, approximate=text(op.approximation))


def clamp(op, x):
    return torch.clamp(x, number(op.min), number(op.max))


def power(op, x):
    return torch.pow(x, number(op.exponent))


def compare(op, lhs, rhs):
    return getattr(torch, text(op.predicate))(lhs, rhs)


def sign(op, x):
    return torch.where(torch.isnan(x), x, torch.sign(x))


def integer_div(op, lhs, rhs):
    # PyTorch divides by 0 for an error, and overflows as the machine does.
    divisor = torch.where(rhs == 0, 1, rhs)
    quotient = torch.div(lhs.long(), divisor.long(), rounding_mode=text(op.rounding)).to(lhs.dtype)
    return torch.where(rhs == 0, -1, quotient)


def remainder(op, lhs, rhs):
    function = torch.remainder if text(op.rounding) == "floor" else torch.fmod
    if lhs.dtype.is_floating_point:
        return function(lhs, rhs)
    rest = function(lhs.long(), torch.where(rhs == 0, 1, rhs).long())
    return torch.where(rhs == 0, lhs, rest.to(lhs.dtype))


def bitwise(op, lhs, rhs):
    return getattr(torch, f"bitwise_{text(op.operation)}")(lhs, rhs)


def cast(op, x):
    return x.to(TORCH_DTYPES[text(op.to)])


# Shapes ----------------------------------------------------------------------------------------


def broadcast(op, x):
    sizes, axes = ints(op.shape), ints(op.axes)
    column = x.reshape([sizes[i] if i in axes else 1 for i in range(len(sizes))])
    return column.expand(sizes)


def take(op, x):
    bounds = zip(ints(op.begin), ints(op.end), ints(op.stride), strict=True)
    return x[tuple(slice(*bound) for bound in bounds)]


def pad(op, x):
    pairs = list(zip(ints(op.low), ints(op.high), strict=True))
    return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=number(op.value))


def products(x, axes):
    for axis in reversed(axes):
        x = torch.prod(x, axis, dtype=x.dtype)
    return x


def extreme_index(function):
    def reference(op, x):
        return function(x, integer(op.axis)).to(TORCH_DTYPES[text(op.index)])

    return reference


def border_pad(op, x):
    modes = {"edge": "replicate", "symmetric": "symmetric"}
    mode, axis = text(op.mode), integer(op.axis)
    low, high = integer(op.low), integer(op.high)
    line = x.movedim(axis, -1)
    if mode == "symmetric":  # PyTorch has no such mode
        mirrored = torch.cat([line.flip(-1), line, line.flip(-1)], -1)
        padded = mirrored[..., line.shape[-1] - low : 2 * line.shape[-1] + high]
    else:
        flat = line.reshape(1, -1, line.shape[-1])
        padded = F.pad(flat, (low, high), mode=modes.get(mode, mode))
    return padded.reshape(*line.shape[:-1], -1).movedim(-1, axis)


def border_pad_grad(op, dy):
    shape = list(dy.shape)
    shape[integer(op.axis)] -= integer(op.low) + integer(op.high)
    return backward(lambda x: border_pad(op, x), dy, torch.zeros(shape, dtype=dy.dtype))[0]


def resize_to(op, x, size):
    axis, method, coordinates = integer(op.axis), text(op.method), text(op.coordinates)
    line = x.movedim(axis, -1)
    flat = line.reshape(1, -1, line.shape[-1])
    if method == "nearest":
        mode = "nearest-exact" if coordinates == "half_pixel" else "nearest"
        y = F.interpolate(flat, size, mode=mode)
    elif coordinates == "asymmetric":  # PyTorch has no such mode
        place = torch.arange(size, dtype=torch.float64) * line.shape[-1] / size
        place = place.clamp(max=line.shape[-1] - 1)
        low = place.floor().long()
        weight = (place - low).to(x.dtype)
        high = (low + 1).clamp(max=line.shape[-1] - 1)
        y = flat[..., low] * (1 - weight) + flat[..., high] * weight
    else:
        corners = coordinates == "align_corners"
        y = F.interpolate(flat, size, mode="linear", align_corners=corners)
    return y.reshape(*line.shape[:-1], size).movedim(-1, axis)


def resize_grad(op, dy):
    shape = list(dy.shape)
    size, shape[integer(op.axis)] = shape[integer(op.axis)], integer(op.size)
    x = torch.zeros(shape, dtype=dy.dtype)
    return backward(lambda x: resize_to(op, x, size), dy, x)[0]


def cumsum(op, x):
    axis = integer(op.axis)
    x = x.flip(axis) if flag(op.reverse) else x
    total = torch.cumsum(x, axis, dtype=x.dtype)
    total = total - x if flag(op.exclusive) else total
    return total.flip(axis) if flag(op.reverse) else total


def inside(op, ids, size):
    if text(op.out_of_range) == "wrap":
        return ids.long() % size, torch.ones_like(ids, dtype=torch.bool)
    counted = (ids >= 0) & (ids < size) if text(op.out_of_range) == "fill" else ids == ids
    return ids.long().clamp(0, size - 1), counted


def gather(op, x, ids):
    axis = integer(op.axis)
    places, counted = inside(op, ids, x.shape[axis])
    taken = x.index_select(axis, places.reshape(-1))
    taken = taken.reshape(*x.shape[:axis], *ids.shape, *x.shape[axis + 1 :])
    column = counted.reshape(ids.shape + (1,) * (x.ndim - axis - 1))
    fill = number(op.fill) if "fill" in op.properties else 0
    return torch.where(column, taken, torch.tensor(fill).to(x.dtype))


def gather_grad(op, ids, dy):
    x = torch.zeros(op.result.type.get_shape(), dtype=dy.dtype)
    return backward(lambda x: gather(op, x, ids), dy, x)[0]


def take_along_axis(op, x, ids):
    axis = integer(op.axis)
    places, counted = inside(op, ids, x.shape[axis])
    fill = number(op.fill) if "fill" in op.properties else 0
    return torch.where(counted, torch.gather(x, axis, places), torch.tensor(fill).to(x.dtype))


def take_along_axis_grad(op, ids, dy):
    x = torch.zeros(op.result.type.get_shape(), dtype=dy.dtype)
    return backward(lambda x: take_along_axis(op, x, ids), dy, x)[0]


def reduction(function):
    # PyTorch reads "no axis" as "all axes".
    def reference(op, x):
        return function(x, ints(op.axes)) if ints(op.axes) else x

    return reference


# Products --------------------------------------------------------------------------------------


def product(op, lhs, rhs):
    lhs = lhs.mT if flag(op.transpose_lhs) else lhs
    return lhs @ (rhs.mT if flag(op.transpose_rhs) else rhs)


def linear(op, x, w):
    return F.linear(x, w if text(op.weight_layout) == "oi" else w.T)


def linear_grad_weight(op, x, dy):
    oi = text(op.weight_layout) == "oi"
    w = torch.zeros((dy.shape[-1], x.shape[-1]) if oi else (x.shape[-1], dy.shape[-1]))
    return backward(lambda w: linear(op, x, w), dy, w.to(x.dtype))[0]


def nchw(op, x):
    return x.permute(0, 3, 1, 2) if text(op.layout) == "nhwc" else x


def from_nchw(op, x):
    return x.permute(0, 2, 3, 1) if text(op.layout) == "nhwc" else x


def pads(op):
    (top, left), (bottom, right) = ints(op.pad_low), ints(op.pad_high)
    return left, right, top, bottom


def conv2d(op, x, w):
    w = w.permute(3, 2, 0, 1) if text(op.weight_layout) == "hwio" else w
    x = F.pad(nchw(op, x), pads(op))
    y = F.conv2d(x, w, None, ints(op.strides), 0, ints(op.dilation), integer(op.groups))
    return from_nchw(op, y)


def conv2d_grad_input(op, dy, w):
    x = torch.zeros(ints(op.input_shape), dtype=dy.dtype)
    return backward(lambda x: conv2d(op, x, w), dy, x)[0]


def conv2d_grad_weight(op, x, dy):
    w = torch.zeros(ints(op.weight_shape), dtype=x.dtype)
    return backward(lambda w: conv2d(op, x, w), dy, w)[0]


# Pooling ---------------------------------------------------------------------------------------


def max_pool2d(op, x):
    x = F.pad(nchw(op, x), pads(op), value=float("-inf"))
    y = F.max_pool2d(x, ints(op.kernel), ints(op.strides), 0, ints(op.dilation))
    return from_nchw(op, y)


def max_pool2d_grad(op, x, dy):
    return backward(lambda x: max_pool2d(op, x), dy, x)[0]


def avg_pool2d(op, x):
    def sums(x):
        return F.avg_pool2d(F.pad(x, pads(op)), ints(op.kernel), ints(op.strides), 0)

    x = nchw(op, x)
    inside = sums(torch.ones_like(x)) if not flag(op.count_include_pad) else 1
    return from_nchw(op, sums(x) / inside)


def avg_pool2d_grad(op, dy):
    x = torch.zeros(ints(op.input_shape), dtype=dy.dtype)
    return backward(lambda x: avg_pool2d(op, x), dy, x)[0]


# Normalisation ---------------------------------------------------------------------------------


def channels_second(op, x):
    return x.movedim(integer(op.axis), 1)


def batch_norm(op, x, gamma, beta):
    second = channels_second(op, x)
    if second.numel() == second.shape[1]:
        # PyTorch refuses to train on one value per channel; it is its own mean.
        y = beta.reshape(-1, *[1] * (second.ndim - 2)).expand_as(second)
    else:
        y = F.batch_norm(second, None, None, gamma, beta, True, 0.0, number(op.eps))
    return y.movedim(1, integer(op.axis)), *moments(op, x)


def batch_norm_inference(op, x, gamma, beta, mean, variance):
    second = channels_second(op, x)
    y = F.batch_norm(second, mean, variance, gamma, beta, False, 0.0, number(op.eps))
    return y.movedim(1, integer(op.axis))


def moments(op, x):
    axes = [i for i in range(x.ndim) if i != integer(op.axis)]
    variance, mean = torch.var_mean(x, axes, correction=0)
    return mean, variance


def batch_norm_grad_sums(op, dy, x, mean):
    dy, x, mean = (each.double() for each in (dy, x, mean))

    def spread(channel):
        return channel.reshape([-1 if i == integer(op.axis) else 1 for i in range(x.ndim)])

    def affine(gamma, beta):
        return (x - spread(mean)) * spread(gamma) + spread(beta)

    dgamma, dbeta = backward(affine, dy, torch.ones_like(mean), torch.zeros_like(mean))
    return dbeta, dgamma


def layer_norm(op, x, gamma, beta):
    axis = integer(op.axis)
    return torch.native_layer_norm(x, x.shape[axis:], gamma, beta, number(op.eps))[:3]


def layer_norm_squeezed(op, x, gamma, beta):
    y, mean, rstd = layer_norm(op, x, gamma, beta)
    lead = x.shape[: integer(op.axis)]
    return y, mean.reshape(lead), rstd.reshape(lead)


# The samples' statistics are those of x with this eps.
LAYER_EPS = 1e-5


def normalise(op, x, gamma, beta):
    return F.layer_norm(x, x.shape[integer(op.axis) :], gamma, beta, LAYER_EPS)


def layer_norm_grad_input(op, dy, x, mean, rstd, gamma):
    zero = torch.zeros_like(gamma)
    return backward(lambda x: normalise(op, x, gamma, zero), dy, x)[0]


def layer_norm_grad_params(op, dy, x, mean, rstd):
    one = torch.ones(x.shape[integer(op.axis) :], dtype=x.dtype)
    return backward(lambda gamma, beta: normalise(op, x, gamma, beta), dy, one, one)


def rms_norm(op, x, gamma):
    axis, eps = integer(op.axis), number(op.eps)
    y = F.rms_norm(x, x.shape[axis:], gamma, eps)
    return y, torch.rsqrt(x.square().flatten(axis).mean(-1) + eps)


def rms_normalise(op, x, gamma):
    return F.rms_norm(x, x.shape[integer(op.axis) :], gamma, LAYER_EPS)


def rms_norm_grad_input(op, dy, x, rstd, gamma):
    return backward(lambda x: rms_normalise(op, x, gamma), dy, x)[0]


def rms_norm_grad_weight(op, dy, x, rstd):
    one = torch.ones(x.shape[integer(op.axis) :], dtype=x.dtype)
    return backward(lambda gamma: rms_normalise(op, x, gamma), dy, one)[0]


def lstm_cell(op, gates, c):
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def lstm_cell_grad(op, gates, c, new_c, dh, dc):
    return backward(lambda gates, c: lstm_cell(op, gates, c), (dh, dc), gates, c)


def gru_cell(op, x_gates, h_gates, h):
    # The formulas of torch.nn.GRU, in their order.
    (xr, xz, xn), (hr, hz, hn) = x_gates.chunk(3, -1), h_gates.chunk(3, -1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    return (1 - z) * (xn + r * hn).tanh() + z * h


def gru_cell_grad(op, x_gates, h_gates, h, dnew_h):
    return backward(lambda *xs: gru_cell(op, *xs), dnew_h, x_gates, h_gates, h)


# Softmax, loss, embedding ----------------------------------------------------------------------


def softmax_grad(op, y, dy):
    return backward(lambda x: F.softmax(x, integer(op.axis)), dy, y.log())[0]


def log_softmax_grad(op, y, dy):
    return backward(lambda x: F.log_softmax(x, integer(op.axis)), dy, y)[0]


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


def lookup(op, table, ids):
    padding = integer(op.padding_index)
    ids = ids.clamp(0, table.shape[0] - 1)
    return F.embedding(ids, table, padding_idx=None if padding < 0 else padding)


def embedding_grad(op, ids, dy):
    table = torch.zeros((integer(op.rows), dy.shape[-1]), dtype=dy.dtype)
    return backward(lambda table: lookup(op, table, ids), dy, table)[0]


# Attention -------------------------------------------------------------------------------------


def heads_first(op, x):
    return x.transpose(1, 2) if text(op.layout) == "bthd" else x


def visible(op, q, k, rest):
    """The mask of torch's scaled_dot_product_attention; it takes causal or a mask, not both."""
    mask = rest[0] if text(op.mask) != "none" else None
    if not flag(op.causal):
        return mask
    causal = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    return causal if mask is None else causal & mask


def scores(op, q, k, rest):
    result = q @ k.mT * number(op.scale)
    mask = visible(op, q, k, rest)
    if mask is None:
        return result
    if mask.dtype != torch.bool:
        return result + mask
    return result.masked_fill(~mask, float("-inf"))


def keep_factor(op, q, k, rest):
    """Dropout's factor; it is pock's own, checked against published vectors elsewhere."""
    from pock_ir.dialects.dropout import keep_mask

    p, size = number(op.dropout), (*q.shape[:3], k.shape[2])
    seed, step = rest[-2].numpy(), rest[-1].numpy()
    keep = torch.from_numpy(keep_mask(size, seed, step, p, integer(op.stream)))
    return keep.to(q.dtype) / (1 - p)


def attend(op, q, k, v, rest):
    q, k, v = (heads_first(op, x) for x in (q, k, v))
    if number(op.dropout) == 0:
        mask = visible(op, q, k, rest)
        out = F.scaled_dot_product_attention(q, k, v, mask, scale=number(op.scale))
    else:
        # A row without a visible key has no probabilities; PyTorch defines its result as 0.
        weights = torch.softmax(scores(op, q, k, rest), -1).nan_to_num(0.0)
        out = (weights * keep_factor(op, q, k, rest)) @ v
    return heads_first(op, out)


def attention_forward(op, q, k, v, *rest):
    s = scores(op, heads_first(op, q), heads_first(op, k), rest)
    normalizer = torch.logsumexp(s, -1)
    return attend(op, q, k, v, rest), normalizer.masked_fill(normalizer == -torch.inf, 0)


def attention_grad(op, dout, q, k, v, out, log_normalizer, *rest):
    return backward(lambda q, k, v: attend(op, q, k, v, rest), dout, q, k, v)


# Optimizers ------------------------------------------------------------------------------------


def stepped(op, make, w, g, rate, state):
    """The parameter and its state after one step of the torch optimizer that `make` builds.

    A slice is stepped on its own.
    """
    axis, begin = integer(op.axis), integer(op.begin)
    part = w.narrow(axis, begin, g.shape[axis]) if w.ndim else w
    leaf = part.clone().requires_grad_()
    leaf.grad = g.clone()
    optimizer_ = make([leaf], rate.item())
    optimizer_.state[leaf].update(state)
    optimizer_.step()
    whole = w.clone()
    (whole.narrow(axis, begin, g.shape[axis]) if w.ndim else whole).copy_(leaf.detach())
    return whole, optimizer_.state[leaf]


def sgd(op, w, g, rate):
    def make(params, lr):
        return torch.optim.SGD(params, lr=lr, weight_decay=number(op.weight_decay), foreach=False)

    return stepped(op, make, w, g, rate, {})[0]


def momentum(op, w, g, buf, rate, step):
    def make(params, lr):
        return torch.optim.SGD(
            params,
            lr=lr,
            momentum=number(op.momentum),
            dampening=number(op.dampening),
            nesterov=flag(op.nesterov),
            weight_decay=number(op.weight_decay),
            foreach=False,
        )

    state = {} if step == 0 else {"momentum_buffer": buf.clone()}
    whole, after = stepped(op, make, w, g, rate, state)
    # Without momentum PyTorch keeps no buffer; ours is the gradient.
    return whole, after["momentum_buffer"] if number(op.momentum) else g


def adam(op, w, g, m, v, rate, correction1, correction2):
    kind = torch.optim.AdamW if flag(op.decoupled) else torch.optim.Adam
    beta1, beta2 = number(op.beta1), number(op.beta2)
    # The samples' correction1 is 1 - beta1^count.
    count = round(torch.log1p(-correction1.double()).item() / torch.tensor(beta1).log().item())

    def make(params, lr):
        decay = number(op.weight_decay)
        return kind(params, lr, (beta1, beta2), number(op.eps), decay, foreach=False)

    state = {"step": torch.tensor(count - 1.0), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    whole, after = stepped(op, make, w, g, rate, state)
    return whole, after["exp_avg"], after["exp_avg_sq"]


def adam_or_keras(op, w, g, m, v, rate, correction1, correction2):
    if not flag(op.eps_before_correction):
        return adam(op, w, g, m, v, rate, correction1, correction2)
    # keras.optimizers.Adam.update_step, for a whole parameter without weight decay
    m = m + (g - m) * (1 - number(op.beta1))
    v = v + (g.square() - v) * (1 - number(op.beta2))
    alpha = rate * correction2 / correction1
    return w - m * alpha / (v.sqrt() + number(op.eps)), m, v


def lion(op, w, g, m, rate):
    # optax.lion: scale_by_lion, add_decayed_weights, scale_by_learning_rate
    axis, begin = integer(op.axis), integer(op.begin)
    part = w.narrow(axis, begin, g.shape[axis]) if w.ndim else w
    beta1, beta2 = number(op.beta1), number(op.beta2)
    update = torch.sign((1 - beta1) * g + beta1 * m) + number(op.weight_decay) * part
    whole = w.clone()
    (whole.narrow(axis, begin, g.shape[axis]) if w.ndim else whole).copy_(part - rate * update)
    return whole, (1 - beta2) * g + beta2 * m


def constant(op):
    dtype = TORCH_DTYPES[str(op.type.element_type)]
    return torch.full(op.type.get_shape(), op.number(), dtype=dtype)


def iota(op):
    sizes, axis = op.type.get_shape(), integer(op.axis)
    column = torch.arange(sizes[axis]).reshape([-1 if i == axis else 1 for i in range(len(sizes))])
    return column.expand(sizes).to(TORCH_DTYPES[str(op.type.element_type)])


REFERENCES = {
    **{op_type: lambda op, *xs, f=function: f(*xs) for op_type, function in UNARY.items()},
    elementwise.GeluOp: gelu,
    elementwise.ClampOp: clamp,
    elementwise.PowerOp: power,
    elementwise.CompareOp: compare,
    elementwise.CastOp: cast,
    axis_map.ReverseOp: lambda op, x: x.flip(integer(op.axis)),
    axis_map.BorderPadOp: border_pad,
    axis_map.BorderPadGradOp: border_pad_grad,
    axis_map.ResizeOp: lambda op, x: resize_to(op, x, integer(op.size)),
    axis_map.ResizeGradOp: resize_grad,
    scan.CumSumOp: cumsum,
    gathering.GatherOp: gather,
    gathering.GatherGradOp: gather_grad,
    gathering.TakeAlongAxisOp: take_along_axis,
    gathering.TakeAlongAxisGradOp: take_along_axis_grad,
    functions.SignOp: sign,
    division.IntegerDivOp: integer_div,
    division.RemainderOp: remainder,
    division.BitwiseOp: bitwise,
    shape.ConstantOp: constant,
    shape.IotaOp: iota,
    shape.BroadcastOp: broadcast,
    shape.ReshapeOp: lambda op, x: x.reshape(ints(op.shape)),
    shape.TransposeOp: lambda op, x: x.permute(ints(op.permutation)),
    shape.SliceOp: take,
    shape.PadOp: pad,
    shape.ConcatOp: lambda op, *xs: torch.cat(xs, integer(op.axis)),
    reduce.SumOp: reduction(lambda x, axes: torch.sum(x, axes, dtype=x.dtype)),
    reduce.MeanOp: reduction(torch.mean),
    reduce.MaxOp: reduction(torch.amax),
    reduce.MinOp: reduction(torch.amin),
    reduce.ProdOp: reduction(products),
    reduce.ArgMaxOp: extreme_index(torch.argmax),
    reduce.ArgMinOp: extreme_index(torch.argmin),
    matmul.MatMulOp: product,
    matmul.LinearOp: linear,
    matmul.LinearGradWeightOp: linear_grad_weight,
    conv.Conv2dOp: conv2d,
    conv.Conv2dGradInputOp: conv2d_grad_input,
    conv.Conv2dGradWeightOp: conv2d_grad_weight,
    pool.MaxPool2dOp: max_pool2d,
    pool.MaxPool2dGradOp: max_pool2d_grad,
    pool.AvgPool2dOp: avg_pool2d,
    pool.AvgPool2dGradOp: avg_pool2d_grad,
    norm.BatchNormOp: batch_norm,
    norm.BatchNormInferenceOp: batch_norm_inference,
    norm.MomentsOp: moments,
    norm.BatchNormGradSumsOp: batch_norm_grad_sums,
    norm.LayerNormOp: layer_norm_squeezed,
    norm.LayerNormGradInputOp: layer_norm_grad_input,
    norm.LayerNormGradParamsOp: layer_norm_grad_params,
    recurrent.LstmCellOp: lstm_cell,
    recurrent.LstmCellGradOp: lstm_cell_grad,
    recurrent.GruCellOp: gru_cell,
    recurrent.GruCellGradOp: gru_cell_grad,
    rms_norms.RmsNormOp: rms_norm,
    rms_norms.RmsNormGradInputOp: rms_norm_grad_input,
    rms_norms.RmsNormGradWeightOp: rms_norm_grad_weight,
    softmax.SoftmaxOp: lambda op, x: F.softmax(x, integer(op.axis)),
    softmax.LogSoftmaxOp: lambda op, x: F.log_softmax(x, integer(op.axis)),
    softmax.SoftmaxGradOp: softmax_grad,
    softmax.LogSoftmaxGradOp: log_softmax_grad,
    loss.CrossEntropyOp: cross_entropy,
    loss.CrossEntropyGradOp: cross_entropy_grad,
    embedding.EmbeddingOp: lookup,
    embedding.EmbeddingGradOp: embedding_grad,
    attention.AttentionOp: attention_forward,
    attention.AttentionGradOp: attention_grad,
    optimizer.SgdOp: sgd,
    optimizer.MomentumOp: momentum,
    optimizer.AdamOp: adam_or_keras,
    optimizer.LionOp: lion,
}
"""By op: `reference(op, *operands)` with torch tensors, returning a tensor or several."""

WITHOUT_TORCH = {
    "nn.dropout": "PyTorch's masks come from another generator; test_dropout checks ours",
    "train.adam_correction": "not an op of PyTorch; test_optimizer checks the formula",
}
"""By op name: why there is no PyTorch equivalent, and which test checks the op instead."""
