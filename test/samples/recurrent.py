"""Samples of the cells of recurrent layers."""

import numpy as np

from pock_ir.dialects import recurrent as r
from samples.sample import Sample, computed, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def new_c(gates, c):
    i, f, g, _ = np.split(gates, 4, axis=-1)
    return sigmoid(f) * c + sigmoid(i) * np.tanh(g)


def samples(lead, cells, id, reason) -> list[Sample]:
    state = normal(*lead, cells)
    four, three = normal(*lead, 4 * cells), normal(*lead, 3 * cells)
    saved = (four, state, computed((*lead, cells), new_c))
    return [
        Sample(r.LstmCellOp, (four, state), {}, id, reason),
        Sample(r.LstmCellGradOp, (*saved, state, state), {}, id, reason),
        Sample(r.GruCellOp, (three, three, state), {}, id, reason),
        Sample(r.GruCellGradOp, (three, three, state, state), {}, id, reason),
    ]


SAMPLES = [
    *samples((3,), 17, "batch", "a register and a remainder"),
    *samples((2,), 32, "whole", "whole registers"),
    *samples((), 5, "single", "no batch, less than a register"),
    *samples((2, 3), 4, "two", "two leading dims"),
]
