"""Used by check_wheel.py inside an environment that holds the wheel and its core requirements.

python -I wheel_smoke.py PLANNED.mlir
"""

import sys
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

ABSENT = ("dialects", "lowering", "passes", "targets", "tools")
"""What must not be importable: names that are nobody's own."""

JOB = "import pock\njob = pock.Job(lambda x: x, (), None, 'mse', frontend={0!r})\n"
MISSING = "the frontend '{0}' needs {0}, which is not installed\n  help: pip install 'pock[{0}]'"
IMPORTED = "ModuleNotFoundError: No module named '{0}'"
JOBS = (
    ("jax", JOB, MISSING),
    ("tensorflow", JOB, MISSING),
    *((name, "import {0}\n", IMPORTED) for name in ("torch", "jax", "keras", "tensorflow")),
)
"""Jobs that need a framework: its name, the job's file, and what must be said instead."""


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


def check_refusals() -> None:
    """Raise SystemExit unless a job that needs a framework is refused with what is missing."""
    from pock.tools.exits import EXIT_USER_ERROR
    from pock.tools.pock import main

    for name, content, message in JOBS:
        Path("job.py").write_text(content.format(name), encoding="utf-8")
        with redirect_stderr(StringIO()) as errors:
            status = main(["check", "job.py:job"])
        said = errors.getvalue()
        if status != EXIT_USER_ERROR or message.format(name) not in said:
            raise SystemExit(f"a job that needs {name} ends with status {status} and: {said}")
    print(f"{len(JOBS)} jobs that need a framework are refused")


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
    check_refusals()
    check_emission(Path(sys.argv[1]))
