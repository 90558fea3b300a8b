"""Rows about the order of gates. Every spelling has the same weights, in its own order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
from difference_rows import Row, Spelling
from flax import linen
from torch import nn

import pock.jax

X = np.sin(np.arange(2 * 3 * 2.0)).reshape(2, 3, 2).astype(np.float32)
CELLS = 3


def gates(names: str, rows: int, phase: float) -> dict[str, np.ndarray]:
    """A matrix [rows, cells] for each gate."""
    place = np.arange(rows * CELLS).reshape(rows, CELLS)
    found = {name: np.sin(phase + 5 * i + 1.3 * place) for i, name in enumerate(names)}
    return {name: value.astype(np.float32) for name, value in found.items()}


def joined(parts: Mapping[str, np.ndarray], order: str) -> np.ndarray:
    return np.concatenate([parts[name] for name in order], axis=-1)


LSTM_INPUT, LSTM_STATE, LSTM_BIAS = (gates("ifgo", n, n) for n in (2, 3, 1))
GRU_INPUT, GRU_STATE, GRU_BIAS = (gates("rzn", n, n) for n in (2, 3, 1))
GRU_STATE_BIAS = gates("rzn", 1, 0.5)


class TorchLayer(nn.Module):
    """The outputs of a recurrent layer at all steps."""

    def __init__(self, layer: nn.Module, values: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.layer = layer
        with torch.no_grad():
            for parameter, value in zip(layer.parameters(), values, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    def forward(self, x: Any) -> Any:
        return self.layer(x)[0]


def torch_lstm(order: str) -> TorchLayer:
    weights = [joined(parts, order) for parts in (LSTM_INPUT, LSTM_STATE, LSTM_BIAS)]
    bias = weights[2][0]
    values = [weights[0].T, weights[1].T, bias, np.zeros_like(bias)]
    return TorchLayer(nn.LSTM(2, CELLS, batch_first=True), values)


def torch_gru(order: str) -> TorchLayer:
    parts = (GRU_INPUT, GRU_STATE, GRU_BIAS, GRU_STATE_BIAS)
    weights = [joined(part, order) for part in parts]
    values = [weights[0].T, weights[1].T, weights[2][0], weights[3][0]]
    return TorchLayer(nn.GRU(2, CELLS, batch_first=True), values)


def flax_model(cell: Any, params: Mapping[str, Any]) -> Any:
    held = jax.tree_util.tree_map(jnp.asarray, {"params": {"cell": dict(params)}})
    return pock.jax.linen(linen.RNN(cell), held)


def flax_lstm() -> Any:
    params: dict[str, Any] = {f"i{g}": {"kernel": LSTM_INPUT[g]} for g in "ifgo"}
    for g in "ifgo":
        params[f"h{g}"] = {"kernel": LSTM_STATE[g], "bias": LSTM_BIAS[g][0]}
    return flax_model(linen.LSTMCell(CELLS), params)


def flax_gru() -> Any:
    """Its gates r and z have one bias, the sum of PyTorch's two."""
    biases = {g: GRU_BIAS[g][0] + (g != "n") * GRU_STATE_BIAS[g][0] for g in "rzn"}
    params: dict[str, Any] = {f"i{g}": {"kernel": GRU_INPUT[g], "bias": biases[g]} for g in "rzn"}
    for g in "rz":
        params[f"h{g}"] = {"kernel": GRU_STATE[g]}
    params["hn"] = {"kernel": GRU_STATE["n"], "bias": GRU_STATE_BIAS["n"][0]}
    return flax_model(linen.GRUCell(CELLS), params)


def keras_model(layer: Any, weights: Sequence[np.ndarray]) -> Any:
    model = keras.Sequential([keras.Input(X.shape[1:]), layer])
    layer.set_weights(list(weights))
    return model


def keras_lstm() -> Any:
    weights = [joined(parts, "ifgo") for parts in (LSTM_INPUT, LSTM_STATE)]
    layer = keras.layers.LSTM(CELLS, return_sequences=True)
    return keras_model(layer, [*weights, joined(LSTM_BIAS, "ifgo")[0]])


def keras_gru(reset_after: bool) -> Any:
    """The reset gate multiplies the product with the state, or the state before it."""
    weights = [joined(parts, "zrn") for parts in (GRU_INPUT, GRU_STATE)]
    biases = [joined(parts, "zrn") for parts in (GRU_BIAS, GRU_STATE_BIAS)]
    bias = np.concatenate(biases) if reset_after else (biases[0] + biases[1])[0]
    layer = keras.layers.GRU(CELLS, return_sequences=True, reset_after=reset_after)
    return keras_model(layer, [*weights, bias])


LSTM_GATES = Row(
    "LSTM gates",
    {
        "torch": Spelling(lambda: torch_lstm("ifgo"), (X,), {"nn.lstm_cell": {}}),
        "torch.exchanged": Spelling(lambda: torch_lstm("figo"), (X,), {"nn.lstm_cell": {}}),
        "jax": Spelling(flax_lstm, (X,)),
        "keras": Spelling(keras_lstm, (X,)),
    },
    [("torch", "jax", "keras"), ("torch.exchanged",)],
)

GRU_GATES = Row(
    "GRU gates",
    {
        "torch": Spelling(lambda: torch_gru("rzn"), (X,), {"nn.gru_cell": {}}),
        "torch.exchanged": Spelling(lambda: torch_gru("zrn"), (X,), {"nn.gru_cell": {}}),
        "jax": Spelling(flax_gru, (X,)),
        "keras": Spelling(lambda: keras_gru(True), (X,)),
        "keras.reset_before": Spelling(lambda: keras_gru(False), (X,)),
    },
    [("torch", "jax", "keras"), ("torch.exchanged",), ("keras.reset_before",)],
)

RECURRENT_ROWS = (LSTM_GATES, GRU_GATES)
