"""Recurrent layers: one product for all inputs, then one product and one cell for each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
    slice_axis,
    transpose,
)
from pock.frontends.torch.ops.matmul import add_bias
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import AddOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.recurrent import GruCellOp, LstmCellOp
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import shape_of

aten = torch.ops.aten

State = tuple[SSAValue, ...]
"""h, or h and c, of one direction of one layer."""


@dataclass(frozen=True)
class Weights:
    """Of one direction of one layer: [G H, I] and [G H, H] with gates in PyTorch's order."""

    of_input: SSAValue
    of_state: SSAValue
    input_bias: SSAValue | None
    state_bias: SSAValue | None


Cell = Callable[[Emitter, SSAValue, State, Weights], State]
"""The next state, from the gates' sums that come from the input."""


def _linear(emit: Emitter, x: SSAValue, weight: SSAValue, bias: SSAValue | None) -> SSAValue:
    return add_bias(emit, emit(LinearOp, x, weight, weight_layout="oi"), bias)


def _lstm_cell(emit: Emitter, x_gates: SSAValue, state: State, weights: Weights) -> State:
    h, c = state
    gates = emit(AddOp, _linear(emit, h, weights.of_state, weights.state_bias), x_gates)
    return tuple(emit.op(LstmCellOp, gates, c).results)


def _gru_cell(emit: Emitter, x_gates: SSAValue, state: State, weights: Weights) -> State:
    (h,) = state
    h_gates = _linear(emit, h, weights.of_state, weights.state_bias)
    return (emit(GruCellOp, x_gates, h_gates, h),)


def _run(
    emit: Emitter, cell: Cell, x: SSAValue, state: State, weights: Weights, backwards: bool
) -> tuple[list[SSAValue], State]:
    """h after each step of x[T, B, I], in the order of x, and the last state."""
    gates = _linear(emit, x, weights.of_input, weights.input_bias)
    steps, *rest = shape_of(gates)
    outputs: list[SSAValue] = []
    for index in reversed(range(steps)) if backwards else range(steps):
        now = reshape(emit, slice_axis(emit, gates, 0, index, index + 1), rest)
        state = cell(emit, now, state, weights)
        outputs.append(state[0])
    return (outputs[::-1] if backwards else outputs), state


def _stack(emit: Emitter, parts: Sequence[SSAValue]) -> SSAValue:
    """The parts along a new first dim."""
    rows = [reshape(emit, part, (1, *shape_of(part))) for part in parts]
    return rows[0] if len(rows) == 1 else emit(ConcatOp, *rows, axis=0)


def _weights(call: Call) -> list[Weights]:
    """One for each direction of each layer, in order."""
    params: Sequence[SSAValue] = call["params"]
    size = 4 if call["has_biases"] else 2
    groups = [params[i : i + size] for i in range(0, len(params), size)]
    projected = "a projection of the state (proj_size) is not supported"
    call.require(len(groups) * size == len(params), projected)
    found: list[Weights] = []
    for group in groups:
        biases = group[2:] if size == 4 else [None, None]
        found.append(Weights(group[0], group[1], biases[0], biases[1]))
        call.require(shape_of(group[1])[0] % shape_of(group[1])[1] == 0, projected)
    return found


def _initial(emit: Emitter, states: Sequence[SSAValue], index: int) -> State:
    """The state of one direction of one layer, from [directions * layers, B, H]."""
    return tuple(
        reshape(emit, slice_axis(emit, state, 0, index, index + 1), shape_of(state)[1:])
        for state in states
    )


def _dropped(call: Call, x: SSAValue) -> SSAValue:
    """Dropout between layers, in training."""
    p = float(call["dropout"])
    if p == 0.0 or not call["train"]:
        return x
    random = call.random()
    return call.emit(DropoutOp, x, random.seed, random.step, p=p, stream=random.stream)


def _recurrent(call: Call, cell: Cell, states: Sequence[SSAValue]) -> tuple[SSAValue, ...]:
    """The outputs of the last layer, then the last states of all layers."""
    emit, x = call.emit, call.tensor("input")
    unbatched = len(shape_of(x)) == 2
    if unbatched:
        x = reshape(emit, x, (shape_of(x)[0], 1, shape_of(x)[1]))
        states = [reshape(emit, s, (shape_of(s)[0], 1, shape_of(s)[1])) for s in states]
    elif call["batch_first"]:
        x = transpose(emit, x, (1, 0, 2))
    directions = 2 if call["bidirectional"] else 1
    weights = _weights(call)
    last: list[State] = []
    for layer in range(call["num_layers"]):
        outputs: list[SSAValue] = []
        x = x if layer == 0 else _dropped(call, x)
        for direction in range(directions):
            index = layer * directions + direction
            start = _initial(emit, states, index)
            found, end = _run(emit, cell, x, start, weights[index], direction == 1)
            outputs.append(_stack(emit, found))
            last.append(end)
        x = outputs[0] if directions == 1 else emit(ConcatOp, *outputs, axis=2)
    if call["batch_first"] and not unbatched:
        x = transpose(emit, x, (1, 0, 2))
    ends = [_stack(emit, parts) for parts in zip(*last, strict=True)]
    return tuple(reshape(emit, value, call.shape(i)) for i, value in enumerate((x, *ends)))


@handles(aten.lstm.input)
def lstm(call: Call) -> tuple[SSAValue, ...]:
    """Long short-term memory over a static number of steps."""
    return _recurrent(call, _lstm_cell, call["hx"])


@handles(aten.gru.input)
def gru(call: Call) -> tuple[SSAValue, ...]:
    """Gated recurrent units over a static number of steps."""
    return _recurrent(call, _gru_cell, [call.tensor("hx")])


def _single(call: Call, cell: Cell, state: State) -> State:
    weights = Weights(
        call.tensor("w_ih"), call.tensor("w_hh"), call.optional("b_ih"), call.optional("b_hh")
    )
    gates = _linear(call.emit, call.tensor("input"), weights.of_input, weights.input_bias)
    return cell(call.emit, gates, state, weights)


@handles(aten.lstm_cell.default)
def lstm_cell(call: Call) -> State:
    """One step of long short-term memory."""
    return _single(call, _lstm_cell, tuple(call["hx"]))


@handles(aten.gru_cell.default)
def gru_cell(call: Call) -> SSAValue:
    """One step of a gated recurrent unit."""
    return _single(call, _gru_cell, (call.tensor("hx"),))[0]
