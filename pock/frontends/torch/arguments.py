"""The tensors that a program reads: parameters, buffers, constants; by framework name, with data.

One table serves all functions of a module, so that a name means the same tensor everywhere.
Tensors that share all of their storage (tied weights) are one argument: optimizer state would
double otherwise. The data is copied; the user's tensors are never written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind

from pock.frontends.common.refusal import Refusal
from pock.frontends.common.signature import BUFFER, CONSTANT, PARAMETER
from pock.frontends.torch.fold_constants import folded_constants
from pock.frontends.torch.table import needed_nodes, tensor_type_of
from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.types import Array, Tensor

_STORED = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


@dataclass(frozen=True)
class Stored:
    """One argument with data: its kind, framework name, type and values (contiguous, a copy)."""

    kind: str
    name: str
    type: Tensor
    data: Array


@dataclass
class StoredTable:
    """All stored tensors of the captured programs, in order of first appearance.

    aliases: name -> name of the tensor it is tied to. frozen: names of parameters that do not
    require a gradient. Errors are added to `errors`.
    """

    errors: DiagnosticCollector
    tensors: dict[str, Stored] = field(default_factory=dict[str, Stored])
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    frozen: list[str] = field(default_factory=list[str])
    _by_view: dict[tuple[object, ...], str] = field(default_factory=dict[tuple[object, ...], str])
    _by_storage: dict[int, str] = field(default_factory=dict[int, str])
    _reserved: set[str] = field(default_factory=set[str])

    def reserve(self, names: Iterable[str]) -> None:
        """Names that a constant of a graph may not take: those of the model's own tensors."""
        self._reserved.update(names)

    def bind(self, program: ExportedProgram) -> dict[str, str]:
        """Register the stored tensors of `program`, folded constants included.

        Returns the graph's name of each -> its name here.
        """
        mutated = set(program.graph_signature.buffers_to_mutate.values())
        folded = folded_constants(program)
        needed = {node.name for node in needed_nodes([program.graph.output_node()], folded)}
        bound: dict[str, str] = {}
        for spec in program.graph_signature.input_specs:
            is_left_over = spec.kind == InputKind.CONSTANT_TENSOR and spec.arg.name not in needed
            if spec.kind not in _STORED or is_left_over:
                continue
            name = str(spec.target)
            value = program.state_dict.get(name, program.constants.get(name))
            if not isinstance(value, torch.Tensor):
                self.errors.add(f"{quote(name)} is not a tensor with data")
                continue
            if spec.kind == InputKind.CONSTANT_TENSOR:
                bound[spec.arg.name] = self._register_constant(name, value)
            else:
                bound[spec.arg.name] = self._register(name, value, _kind(spec, name in mutated))
        for node, value in folded.items():
            bound[node] = self._register_constant(node, value)
        return bound

    def _register(self, name: str, value: torch.Tensor, kind: str) -> str:
        storage = value.untyped_storage().data_ptr()
        view = (storage, value.storage_offset(), tuple(value.shape), value.stride(), value.dtype)
        known = self._by_view.get(view) if storage else None
        if known is not None:
            if known != name:
                self.aliases[name] = known
            return known
        if storage and kind == PARAMETER and storage in self._by_storage:
            self.errors.add(
                f"parameter {quote(name)} shares memory with {quote(self._by_storage[storage])}"
                " under another shape or stride",
                help="tie whole tensors, or transpose inside forward",
            )
        if name in self.tensors:
            self.errors.add(f"two tensors are called {quote(name)}", help="rename one of them")
        self._by_view[view] = name
        self._by_storage.setdefault(storage, name)
        if kind == PARAMETER and not value.requires_grad:
            self.frozen.append(name)
        self._store(kind, name, value)
        return name

    def _register_constant(self, name: str, value: torch.Tensor) -> str:
        """Graphs name their constants alike, so equal data is shared and other data renamed."""
        data = to_numpy(value)
        candidate, count = name, 1
        while candidate in self._reserved or candidate in self.tensors:
            known = self.tensors.get(candidate)
            if known is not None and known.kind == CONSTANT and _same(known.data, data):
                return candidate
            count += 1
            candidate = f"{name}.{count}"
        self._store(CONSTANT, candidate, value)
        return candidate

    def _store(self, kind: str, name: str, value: torch.Tensor) -> None:
        try:
            type = tensor_type_of(value)
        except Refusal as refusal:
            self.errors.add(f"{kind} {quote(name)}: {refusal}", help=refusal.help)
            return
        self.tensors[name] = Stored(kind, name, type, to_numpy(value))


def _kind(spec: InputSpec, mutated: bool) -> str:
    if spec.kind == InputKind.PARAMETER:
        return PARAMETER
    # A buffer that is not saved with the model and never written is a constant of the program.
    return BUFFER if mutated or spec.persistent is not False else CONSTANT


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def to_numpy(value: torch.Tensor) -> Array:
    """A contiguous copy of a tensor's data; bf16 has its own numpy type from ml_dtypes."""
    host = value.detach().cpu().contiguous()
    if host.dtype == torch.bfloat16:
        return np.array(host.view(torch.int16).numpy()).view(ml_dtypes.bfloat16)
    return np.array(host.numpy())


def mutations(program: ExportedProgram) -> list[tuple[str, str]]:
    """(output's name in the graph, buffer's framework name) of each buffer that is written."""
    specs = program.graph_signature.output_specs
    written = (s for s in specs if s.kind == OutputKind.BUFFER_MUTATION)
    return [(s.arg.name, str(s.target)) for s in written]
