"""Samples of optimizer updates."""

from pock_ir.dialects.optimizer import AdamCorrectionOp, AdamOp, LionOp, MomentumOp, SgdOp
from samples.sample import Sample, given, normal, positive

# Eighths are exact in f32, so that the f64 variant has the same rate.
RATE = given(0.125, fixed=True)
WHOLE = {"axis": 0, "begin": 0}

PLACES = (
    ((3, 17), (3, 17), WHOLE, "whole", "all of a matrix"),
    ((), (), WHOLE, "scalar", "rank 0"),
    ((5, 3), (2, 3), {"axis": 0, "begin": 1}, "rows", "channels in the middle"),
    ((3, 5), (3, 2), {"axis": 1, "begin": 3}, "columns", "the last columns"),
)


def sgd(w, g, place, id, reason, decay=0.0) -> Sample:
    return Sample(
        SgdOp, (normal(*w), normal(*g), RATE), {"weight_decay": decay, **place}, id, reason
    )


def momentum(w, g, place, id, reason, step=1, decay=0.0, **changed) -> Sample:
    properties = {"momentum": 0.9, "dampening": 0.0, "nesterov": False, **changed}
    operands = (normal(*w), normal(*g), normal(*g), RATE, given(step, "i32"))
    return Sample(MomentumOp, operands, {"weight_decay": decay, **properties, **place}, id, reason)


def adam(w, g, place, id, reason, step=3, decay=0.0, **changed) -> Sample:
    properties = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **changed}
    properties = {"decoupled": False, "eps_before_correction": False, **properties}
    beta1, beta2 = properties["beta1"], properties["beta2"]
    corrections = (
        given(1 - beta1 ** (step + 1), fixed=True),
        given((1 - beta2 ** (step + 1)) ** 0.5, fixed=True),
    )
    state = (normal(*g), positive(*g))
    operands = (normal(*w), normal(*g), *state, RATE, *corrections)
    return Sample(AdamOp, operands, {"weight_decay": decay, **properties, **place}, id, reason)


def lion(w, g, place, id, reason, decay=0.0, **changed) -> Sample:
    properties = {"beta1": 0.9, "beta2": 0.99, **changed}
    operands = (normal(*w), normal(*g), normal(*g), RATE)
    return Sample(LionOp, operands, {"weight_decay": decay, **properties, **place}, id, reason)


FULL = ((3, 5), (3, 5), WHOLE)

SAMPLES = [
    *(sgd(*row) for row in PLACES),
    sgd(*FULL, "decay", "weight decay", decay=0.25),
    *(momentum(*row) for row in PLACES),
    momentum(*FULL, "first", "the first step takes the gradient", step=0),
    momentum(*FULL, "dampened", "dampening", dampening=0.5),
    momentum(*FULL, "dampened-first", "no dampening at the first step", step=0, dampening=0.5),
    momentum(*FULL, "nesterov", "Nesterov and decay", nesterov=True, decay=0.25),
    momentum(*FULL, "zero", "no momentum", momentum=0.0),
    *(adam(*row) for row in PLACES),
    adam(*FULL, "first", "the first step", step=0),
    adam(*FULL, "decay", "L2 regularisation", decay=0.25),
    adam(*FULL, "decoupled", "AdamW", decay=0.25, decoupled=True),
    adam(*FULL, "early", "eps as Keras adds it", eps=0.1, eps_before_correction=True),
    *(lion(*row) for row in PLACES),
    lion(*FULL, "decay", "decoupled weight decay", decay=0.25),
    lion(*FULL, "still", "no momentum, so that a gradient of 0 does not move", beta1=0.0),
    adam(*FULL, "short", "beta1 below 1/2 lerps from the other end", beta1=0.25),
    *(
        Sample(AdamCorrectionOp, (given(step, "i32"),), {"beta1": 0.9, "beta2": 0.999}, id, reason)
        for step, id, reason in (
            (0, "first", "the smallest corrections"),
            (9, "tenth", "the usual case"),
            (10**6, "last", "corrections of 1"),
        )
    ),
]
