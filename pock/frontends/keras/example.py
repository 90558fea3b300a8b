"""Example inputs and targets of a Keras model, from its own description or from arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pock.arrays import fitted
from pock.frontends.keras.model_spec import LABELS, ModelSpec, Port, spec_of
from pock_ir.diagnostics import Diagnostic, DiagnosticCollector, PockError, quote
from pock_ir.types import Array

DEFAULT_BATCH = 32
"""As of keras.Model.fit."""

HELP_DATA = "give data (--data FILE.npz): an array for each input and target"


def example(
    model: Any, batch: int | None = None, data: Mapping[str, Array] | None = None, loss: Any = None
) -> tuple[tuple[Any, ...], Any]:
    """(example inputs, example targets) of a functional or Sequential keras.Model.

    They are made from the model's inputs and its loss: normal floats, indices below the smallest
    vocabulary of its embeddings, class indices, or shares of 1. batch: how many samples; default
    what the model says, else 32 as in Keras. data: arrays for all inputs and targets instead, by
    their names in the program ("inputs" or "inputs/0", "target" or the name of an output); the
    first `batch` rows are taken. loss: of the program, if not the one that the model was compiled
    with: "cross_entropy", "mse" or a keras.losses.Loss.

    Raises PockError for a model that does not describe its inputs or has no loss, for what is not
    known without `data`, and for arrays that do not fit.
    """
    spec = spec_of(model, loss)
    batch = _batch(spec, batch)
    problems = DiagnosticCollector()
    ports = [port for port in (*spec.inputs, *spec.targets) if port is not None]
    if data is None:
        arrays = {port.name: _made(port, batch, problems) for port in ports}
    else:
        arrays = {port.name: _read(port, data, problems) for port in ports}
    problems.raise_if_any()
    _check_rows(arrays, batch)
    found = [None if p is None else arrays[p.name][:batch] for p in (*spec.inputs, *spec.targets)]
    count = len(spec.inputs)
    return (spec.pack_inputs(found[:count]),), spec.pack_targets(found[count:])


def _batch(spec: ModelSpec, batch: int | None) -> int:
    fixed = {port.shape[0] for port in spec.inputs if port.shape} - {None}
    if len(fixed) > 1:
        raise PockError(f"the inputs of {quote(spec.name)} have batches of different sizes")
    known = next(iter(fixed), None)
    if known is not None and batch not in (None, known):
        message = f"{quote(spec.name)} takes batches of {known} only, not of {batch}"
        raise PockError(Diagnostic(message, help=f"give no batch (--batch), or {known}"))
    return known or batch or DEFAULT_BATCH


def _made(port: Port, batch: int, problems: DiagnosticCollector) -> Array:
    """An array for `port`, always the same."""
    if port.problem or port.dtype is None:
        problems.add(f"{quote(port.name)}: {port.problem}", help=HELP_DATA)
        return np.empty(0)
    shape = (batch, *(size for size in port.shape[1:] if size is not None))
    generator = np.random.default_rng(0)
    if port.dtype.kind in "biu":
        return generator.integers(0, port.limit, shape).astype(port.dtype)
    if not port.is_share:
        return generator.standard_normal(shape).astype(port.dtype)
    shares = generator.random(shape)
    if len(shape) > 1 and shape[-1] > 1:
        shares /= shares.sum(-1, keepdims=True)
    return shares.astype(port.dtype)


def _read(port: Port, data: Mapping[str, Array], problems: DiagnosticCollector) -> Array:
    if port.name not in data:
        known = ", ".join(map(quote, data)) or "nothing"
        problems.add(f"the array {quote(port.name)} is missing", help=f"the data has {known}")
        return np.empty(0)
    array = data[port.name]
    found = _fitting_target(port, array) if port.is_target else _fitting_input(port, array)
    if found is None:
        problems.add(
            f"the array {quote(port.name)} should be {_wanted(port)}, not {array.dtype} of shape "
            f"{array.shape}"
        )
        return np.empty(0)
    return found


def _fitting_input(port: Port, array: Array) -> Array | None:
    if port.dtype is None or array.ndim != len(port.shape):
        return None
    sizes = zip(port.shape[1:], array.shape[1:], strict=True)
    is_shaped = all(size in (None, found) for size, found in sizes)
    return fitted(array, port.dtype) if is_shaped else None


def _fitting_target(port: Port, array: Array) -> Array | None:
    """Targets have any shape: the loss judges it. Integers are carried as int32."""
    if array.ndim and array.dtype.kind in "iu":
        return fitted(array, LABELS)
    is_number = array.dtype.kind == "b" or array.dtype == np.float32
    return array if array.ndim and is_number and port.dtype != LABELS else None


def _wanted(port: Port) -> str:
    if port.is_target:
        return "class indices (int32)" if port.dtype == LABELS else "float32 or int32, by rows"
    sizes = ", ".join("any" if size is None else str(size) for size in port.shape[1:])
    return f"{port.dtype} of shape (rows, {sizes})"


def _check_rows(arrays: Mapping[str, Array], batch: int) -> None:
    rows = {len(array) for array in arrays.values()}
    if len(rows) > 1:
        raise PockError("the arrays of the data differ in their number of rows")
    (count,) = rows
    if count < batch:
        message = f"{count} rows do not fill a batch of {batch}"
        raise PockError(Diagnostic(message, help=f"give a batch (--batch) of {count} or less"))
