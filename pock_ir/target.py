"""The abstract target description: what a device is, and which kernels it offers.

A target is a value. Passes receive it; they never import one. Devices are declared under
`targets/`, and registered here by name, so that IR can name its target in an attribute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from pock_ir.diagnostics import Diagnostic, PockError, quote

TARGET_ATTRIBUTE = "pock.target"


@dataclass(frozen=True)
class VectorUnit:
    """The SIMD unit: register width in bytes (0: none) and number of registers."""

    bytes: int
    registers: int

    def lanes(self, element_bytes: int) -> int:
        """Elements per register; 1 without a vector unit."""
        return max(1, self.bytes // element_bytes)


@dataclass(frozen=True)
class Caches:
    """Data cache sizes in bytes, per core; 0 where there is none."""

    l1: int
    l2: int
    l3: int


@dataclass(frozen=True)
class Rates:
    """The cost model's constants for one core.

    flops: single-precision operations per second of a good kernel;
    bandwidth: bytes per second from memory; call: seconds to start a kernel.
    """

    flops: float
    bandwidth: float
    call: float


class Kernel(ABC):
    """One offer of a target: a way to run a `kern.call`.

    `name` stands in the IR (`kernel = "gemm"`). A kernel says whether it can run a call, at
    which cost, with how much scratch memory and in how many parallel parts, and emits the code.
    The call's body is what the kernel means.
    """

    name: str

    @abstractmethod
    def matches(self, call: Operation, target: Target) -> bool:
        """Whether this kernel computes exactly the body of `call`."""

    @abstractmethod
    def seconds(self, call: Operation, target: Target) -> float:
        """Estimated time of one execution on one core."""

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        """Scratch memory that the kernel needs beside operands and results, all parts together."""
        return 0

    def parts(self, call: Operation, target: Target) -> int:
        """In how many independent parts the kernel may run; never more than `target.threads`."""
        return 1

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        """For each result, an operand whose buffer it may take over, or -1.

        Only legal when the kernel reads each element of that operand before it writes the same
        element of the result, and no other part reads it.
        """
        return tuple(-1 for _ in call.results)

    @abstractmethod
    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        """The source text of the function `symbol` that runs `call`."""


@dataclass(frozen=True)
class Target:
    """A device: memories, vector unit, threads, kernels and how its code is compiled.

    alignment: of every buffer in the arena, in bytes. memory: RAM budget in bytes or None.
    compile_flags: what the C compiler must be given, in addition to the optimisation level.
    """

    name: str
    description: str
    vector: VectorUnit
    caches: Caches
    rates: Rates
    kernels: tuple[Kernel, ...] = field(repr=False)
    threads: int = 1
    alignment: int = 64
    compile_flags: tuple[str, ...] = ()
    memory: int | None = None

    def with_threads(self, threads: int) -> Target:
        """The same device with a static partition into `threads` parts."""
        return replace(self, threads=threads)

    def kernel(self, name: str) -> Kernel:
        """The kernel called `name`; raises PockError if the target has none."""
        for kernel in self.kernels:
            if kernel.name == name:
                return kernel
        raise PockError(f"target {self.name} has no kernel {quote(name)}")


_TARGETS: dict[str, Target] = {}


def register_target(target: Target) -> Target:
    """Make `target` known by its name. Raises ValueError if the name is taken."""
    if target.name in _TARGETS:
        raise ValueError(f"target {target.name} is registered already")
    _TARGETS[target.name] = target
    return target


def known_targets() -> Iterable[Target]:
    """Every registered target, by name."""
    return [_TARGETS[name] for name in sorted(_TARGETS)]


def target_named(text: str) -> Target:
    """The target that `text` names: "x86-64-v4", or "x86-64-v4:threads=2".

    Raises PockError that lists the known names if there is none.
    """
    name, _, options = text.partition(":")
    if name not in _TARGETS:
        known = ", ".join(sorted(_TARGETS))
        raise PockError(Diagnostic(f"unknown target {quote(name)}", help=f"known: {known}"))
    target = _TARGETS[name]
    if not options:
        return target
    key, _, value = options.partition("=")
    if key != "threads" or not value.isdigit() or not 1 <= int(value) <= 64:
        raise PockError(
            Diagnostic(f"bad target option {quote(options)}", help="write threads=N, N in 1..64")
        )
    return target.with_threads(int(value))


def target_text(target: Target) -> str:
    """The text that `target_named` turns back into `target`."""
    return target.name if target.threads == 1 else f"{target.name}:threads={target.threads}"


def target_of(module: ModuleOp) -> Target:
    """The target that the module names. Raises PockError if it names none."""
    attribute = module.attributes.get(TARGET_ATTRIBUTE)
    if not isinstance(attribute, StringAttr):
        raise PockError(
            Diagnostic(
                f"the module names no target in its attribute {TARGET_ATTRIBUTE}",
                help='write: module attributes {pock.target = "c"}',
            )
        )
    return target_named(attribute.data)
