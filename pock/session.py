"""Running a compiled program in this process, through its generated header.

The header is the only description of the interface: its declarations are parsed by cffi, so this
binding cannot drift from the C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np

from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.targets.c.program.blob import HEADER_BYTES
from pock_ir.targets.c.program.header import public_ports
from pock_ir.targets.c.program.images import framework_array
from pock_ir.targets.c.program.layout import Entry, Port, ProgramLayout
from pock_ir.targets.c.program.safetensors import export_bytes
from pock_ir.types import Array


@dataclass(frozen=True)
class Results:
    """What one execution returned: the loss (None for infer) and arrays by port name."""

    loss: float | None
    arrays: dict[str, Array]


def aligned_zeros(size: int, alignment: int) -> Array:
    """`size` zero bytes (uint8) whose address is a multiple of `alignment`."""
    memory = np.zeros(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size]


def declarations(header: str) -> str:
    """The part of a generated header that cffi can parse."""
    begin, end = "/* begin declarations */", "/* end declarations */"
    return re.sub(r"/\*.*?\*/", "", header.split(begin)[1].split(end)[0], flags=re.DOTALL)


class Session:
    """One context of a compiled program, with its memory.

    layout: of the program; library: the shared library; headers: the texts of its headers;
    constants and state: images. Raises PockError if the program refuses them.
    """

    def __init__(
        self,
        layout: ProgramLayout,
        library: Path,
        headers: Sequence[str],
        constants: bytes,
        state: bytes,
    ) -> None:
        self.layout = layout
        self._ffi = cffi.FFI()
        for header in headers:
            self._ffi.cdef(declarations(header))
        self._library: Any = self._ffi.dlopen(str(library))
        self._context: Any = self._ffi.new(f"{layout.name}_context *")
        alignment = layout.target.alignment
        self.arena = aligned_zeros(layout.arena_bytes, alignment)
        self.state = aligned_zeros(layout.state_bytes, alignment)
        self.constants = aligned_zeros(len(constants), alignment)
        self.constants[:] = np.frombuffer(constants, np.uint8)
        self._threads: Any = None
        self._initialise()
        self.load(state)

    def _initialise(self) -> None:
        pointers = [self._pointer("void *", m) for m in (self.arena, self.state, self.constants)]
        self._check(self._call("init", self._context, *pointers, self.constants.size))
        if self.layout.target.threads > 1:
            self._threads = self._call("threads_start")
            if self._threads == self._ffi.NULL:
                raise PockError("the program's threads could not be started")
            self._call("threads_attach", self._threads, self._context)

    def detach_threads(self) -> None:
        """Run everything on the caller's thread from now on; the results stay the same."""
        self._context.run = self._ffi.NULL

    def close(self) -> None:
        """Stop the threads. The session cannot run afterwards."""
        if self._threads is not None:
            self._call("threads_stop", self._threads)
            self._threads = None
            self._context.run = self._ffi.NULL
            self._context.ready = 0

    def __del__(self) -> None:
        if getattr(self, "_threads", None) is not None:
            self.close()

    def run(self, name: str, values: Sequence[Any]) -> Results:
        """Run entry `name` on `values`, one array for each input and target in order.

        Raises PockError if the program has no such entry, an array does not fit, or the program
        returns an error.
        """
        entry = self.layout.entry(name)
        if entry is None:
            raise PockError(f"the program was compiled without {name}")
        ports = public_ports(entry)
        inputs = iter(self._inputs(entry, ports, values))
        arrays = [_empty(port) if port.is_result else next(inputs) for port in ports]
        arguments = [self._pointer("void *", array) for array in arrays]
        self._check(self._call(name, self._context, *arguments))
        results = [(p, a) for p, a in zip(ports, arrays, strict=True) if p.is_result]
        losses = [float(array) for port, array in results if port.kind == "loss"]
        named = {port.name: array for port, array in results if port.kind != "loss"}
        return Results(losses[0] if losses else None, named)

    def ordered(self, name: str, arrays: Mapping[str, Any]) -> list[Any]:
        """The arrays that entry `name` takes, in its order, of those given by name.

        Raises PockError if there is no such entry or one is missing.
        """
        entry = self.layout.entry(name)
        if entry is None:
            raise PockError(f"the program was compiled without {name}")
        wanted = [port.name for port in public_ports(entry) if not port.is_result]
        missing = ", ".join(port for port in wanted if port not in arrays)
        if missing:
            raise PockError(f"{name} needs arrays that were not given: {missing}")
        return [arrays[port] for port in wanted]

    def _inputs(self, entry: Entry, ports: Sequence[Port], values: Sequence[Any]) -> list[Array]:
        wanted = [port for port in ports if not port.is_result]
        if len(values) != len(wanted):
            names = ", ".join(port.name for port in wanted)
            raise PockError(f"{entry.name} takes {len(wanted)} arrays ({names}), not {len(values)}")
        return [_fitting(p, value) for p, value in zip(wanted, values, strict=True)]

    @property
    def learning_rate(self) -> float:
        return float(self._context.rate)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._check(self._call("set_learning_rate", self._context, rate))

    @property
    def seed(self) -> int:
        return int(self._context.seed)

    @seed.setter
    def seed(self, seed: int) -> None:
        self._check(self._call("set_seed", self._context, seed))

    @property
    def steps(self) -> int:
        """Training steps completed."""
        return int(self._context.step)

    def reset_optimizer(self) -> None:
        """Forget the optimizer's history and set the step to 0."""
        self._check(self._call("reset_optimizer", self._context))

    def save(self) -> bytes:
        """The state as an image; `load` continues from it bit for bit."""
        return self._filled("save", HEADER_BYTES + self.layout.state_bytes)

    def load(self, image: bytes) -> None:
        """Load a state image. Raises PockError, and changes nothing, if it does not fit."""
        self._check(self._call("load", self._context, self._ffi.from_buffer(image), len(image)))

    def export(self) -> bytes:
        """Trained parameters and statistics as the bytes of a .safetensors file."""
        return self._filled("export", export_bytes(self.layout))

    def arrays(self) -> dict[str, Array]:
        """Every object of the state, in the framework's layout, by name."""
        return {o.name: framework_array(o, self.state) for o in self.layout.region("state")}

    def _filled(self, function: str, size: int) -> bytes:
        buffer = np.zeros(size, np.uint8)
        self._check(self._call(function, self._context, self._pointer("void *", buffer), size))
        return buffer.tobytes()

    def _call(self, function: str, *arguments: Any) -> Any:
        return getattr(self._library, f"{self.layout.name}_{function}")(*arguments)

    def _pointer(self, type: str, array: Array) -> Any:
        return self._ffi.cast(type, array.ctypes.data)

    def _check(self, status: int) -> None:
        if status != 0:
            text: Any = self._ffi.string(self._call("status_text", status))
            reason = text.decode()
            raise PockError(f"the program refused: {reason}")


def _empty(port: Port) -> Array:
    return np.zeros(port.spec.shape, port.spec.dtype.numpy)


def _fitting(port: Port, value: Any) -> Array:
    """`value` as a contiguous array of exactly the port's shape and dtype."""
    array = np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)
    shape, dtype = port.spec.shape, port.spec.dtype.numpy
    if tuple(array.shape) != shape or array.dtype != dtype:
        raise PockError(
            Diagnostic(
                f"{port.kind} {port.name} should be {dtype} of shape {shape}, "
                f"not {array.dtype} of shape {tuple(array.shape)}",
                help="shapes are fixed when the program is compiled; compile for this one",
            )
        )
    return np.ascontiguousarray(array)
