"""What an importer gives back: a model as IR, and its data beside it."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from pock.weights import weights_bytes
from pock_ir.types import Array


@dataclass(frozen=True)
class Imported:
    """A model as IR and its data.

    module: level `nn` with @train, @eval and @infer (an exported program that behaves differently
        in training has @train only).
    weights: the tensors that the module reads (parameters, buffers, constants) by framework name.
    aliases: name -> name in `weights`, for tied tensors.
    frozen: names of parameters that the framework says are not to be trained.
    inputs, targets, outputs: names in the order in which the model takes and returns them; a
        function of the module has no argument for an input that it does not use.
    """

    module: ModuleOp
    weights: dict[str, Array]
    aliases: dict[str, str]
    frozen: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    outputs: tuple[str, ...]

    def weights_file(self) -> bytes:
        """The weights as a safetensors file."""
        return weights_bytes(self.weights)
