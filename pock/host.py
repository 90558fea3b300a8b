"""The target "host": which declared target this machine is, decided before anything compiles.

Only the choice of a target looks at the machine; what is compiled for a target is the same
everywhere.
"""

from __future__ import annotations

import platform
from importlib import import_module
from pathlib import Path

from pock_ir.target import Target, target_named

# What the processor must report for each x86-64 level, from the psABI's micro-architecture levels.
X86_LEVELS = (
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma"}),
    ("x86-64-v3", {"avx2", "fma", "bmi1", "bmi2", "movbe"}),
)


def cpu_flags() -> set[str]:
    """The processor's features as the kernel names them; empty where it does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    for line in text.splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def host_target_name() -> str:
    """The best declared target that this machine can run; "c" if it is not known."""
    if platform.machine() in ("aarch64", "arm64"):
        return "aarch64"
    flags = cpu_flags()
    return next((name for name, needed in X86_LEVELS if needed <= flags), "c")


def resolve_target(text: str) -> Target:
    """The target that `text` names, where "host" and "host:threads=N" mean this machine.

    Raises PockError that lists the known names.
    """
    import_module("pock_ir.targets")  # registers the declared targets
    name, separator, options = text.partition(":")
    chosen = host_target_name() if name == "host" else name
    return target_named(f"{chosen}{separator}{options}")
