"""What PyTorch computes for recurrent cells."""

from pock_ir.dialects import recurrent
from references.torch_reference import backward


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


REFERENCES = {
    recurrent.LstmCellOp: lstm_cell,
    recurrent.LstmCellGradOp: lstm_cell_grad,
    recurrent.GruCellOp: gru_cell,
    recurrent.GruCellGradOp: gru_cell_grad,
}
