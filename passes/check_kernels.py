"""Check that every call runs on a kernel of the target that computes exactly its body.

This does not trust `select-kernels`: it looks every choice up by name and asks the kernel again.

before:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
    }
after:
    builtin.module attributes {pock.level = "kern", pock.target = "reference"} {
    }
unchanged: everything; a wrong choice raises PockError.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.dialects.kern import CallOp, describe, reuses_of, structural_key
from pock_ir.location import location_of
from pock_ir.op import text
from pock_ir.passes.pointwise import overwrites_anchor_input
from pock_ir.target import Target, target_of


def objection(call: CallOp, target: Target) -> str | None:
    """What is wrong with the kernel of `call`, or None."""
    name = text(call.kernel)
    if not name:
        return f"no kernel is chosen for {describe(call)}"
    kernel = next((kernel for kernel in target.kernels if kernel.name == name), None)
    if kernel is None:
        return f"target {target.name} has no kernel {quote(name)}"
    if not kernel.matches(call, target):
        return f"kernel {quote(name)} does not compute {describe(call)}"
    if overwrites_anchor_input(call):
        return f"{describe(call)} updates in place what it still reads"
    allowed = kernel.reuses(call, target)
    if any(mine not in (-1, its) for mine, its in zip(reuses_of(call), allowed, strict=True)):
        return f"kernel {quote(name)} may not overwrite operands {list(reuses_of(call))}"
    return None


def check_kernels(module: ModuleOp) -> None:
    """Raise PockError that lists every call whose kernel does not exist or does not match."""
    target = target_of(module)
    errors = DiagnosticCollector()
    known: dict[str, str | None] = {}
    for call in (op for op in module.walk() if isinstance(op, CallOp)):
        key = structural_key(call)
        if key not in known:
            known[key] = objection(call, target)
        if known[key] is not None:
            errors.add(f"wrong kernel choice: {known[key]}", location_of(call))
    errors.raise_if_any()


@dataclass(frozen=True)
class CheckKernelsPass(ModulePass):
    """Runs `check_kernels`."""

    name = "check-kernels"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        check_kernels(op)
