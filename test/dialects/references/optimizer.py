"""What PyTorch computes for optimizer steps."""

import torch

from pock_ir.dialects import optimizer
from pock_ir.op import flag, integer, number


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


REFERENCES = {
    optimizer.SgdOp: sgd,
    optimizer.MomentumOp: momentum,
    optimizer.AdamOp: adam_or_keras,
    optimizer.LionOp: lion,
}
