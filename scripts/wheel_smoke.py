"""Used by check_wheel.py inside an environment that holds the wheel and its core requirements.

python -I wheel_smoke.py PLANNED.mlir
"""

import sys
from importlib.util import find_spec
from pathlib import Path

ABSENT = ("torch", "dialects", "lowering", "passes", "targets", "tools")
"""What must not be importable: optional frameworks, and names that are nobody's own."""


def check_imports() -> None:
    """Raise SystemExit if importing pock needs a framework or installs a general name."""
    import pock
    import pock_ir

    found = [name for name in ABSENT if find_spec(name) is not None]
    if found:
        raise SystemExit(f"these can be imported: {', '.join(found)}")
    for name in pock.__all__:
        getattr(pock, name)
    print(f"pock {pock_ir.VERSION} imports without a framework")


def check_emission(path: Path) -> None:
    """Raise SystemExit unless a planned module becomes C that trains."""
    import numpy as np

    from pock.program import Program
    from pock_ir.dialects import make_context
    from pock_ir.parse import parse_module
    from pock_ir.targets.c.program.files import program_files
    from pock_ir.targets.c.program.header import public_ports
    from pock_ir.targets.c.program.read import read_layout

    module = parse_module(make_context(), path.read_text(encoding="utf-8"), str(path))
    layout = read_layout(module, 0.01, {})
    rng = np.random.default_rng(0)
    weights = {
        item.name: rng.normal(0.0, 0.5, item.framework_shape).astype(item.spec.dtype.numpy)
        for item in layout.objects
        if item.kind != "state"
    }
    program = Program(layout, program_files(layout, weights, 0), None)
    entry = layout.entry("train_step")
    if entry is None:
        raise SystemExit("the module has no training step")
    ports = [port.spec for port in public_ports(entry) if not port.is_result]
    draw = {True: rng.standard_normal, False: lambda shape: rng.integers(0, 2, shape)}
    batch = [draw[spec.dtype.is_float](spec.shape).astype(spec.dtype.numpy) for spec in ports]
    losses = [program.step(*batch) for _ in range(50)]
    if not losses[-1] < losses[0]:
        raise SystemExit(f"the generated program does not learn: {losses[0]} -> {losses[-1]}")
    print(f"a program of {len(entry.calls)} kernels trains: loss {losses[0]} -> {losses[-1]}")


if __name__ == "__main__":
    check_imports()
    check_emission(Path(sys.argv[1]))
