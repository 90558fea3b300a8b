"""Verifies one model of the census and prints its row as JSON; a process of its own for each.

python -m benchmarks.census.one transformers/bert
"""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections.abc import Iterable
from importlib.metadata import version
from math import isfinite, prod
from typing import Any

from benchmarks.census.sources import Source, source_named
from benchmarks.verification import numbers
from pock.compiler import Job
from pock.frontends import frontend_of
from pock.verify import verify_program
from pock_ir.diagnostics import Diagnostic, PockError

AGREES, REFUSED, FAILED = "agrees", "refused", "failed"

_OPERANDS = re.compile(r" \(operands: .*\)$")
"""What differs between two uses of one operator, and is no reason of its own."""


def row_of(name: str) -> dict[str, Any]:
    """The row of the model "source/name": one step verified, a refusal, or what went wrong."""
    source_name, _, model = name.partition("/")
    source = source_named(source_name)
    start = time.perf_counter()
    try:
        row = _verified(source, model)
    except PockError as error:
        row = {"verdict": REFUSED, "reasons": reasons(error.diagnostics)}
    except Exception as error:
        traceback.print_exc()
        row = {"verdict": FAILED, "reasons": [_last_line(error)]}
    seconds = round(time.perf_counter() - start, 1)
    return finite({"versions": _versions(source), **_described, **row, "seconds": seconds})


def finite(value: Any) -> Any:
    """`value` with None for numbers that JSON has not: some models give NaN in float64."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


_described: dict[str, Any] = {}
"""What is known of the model before it is verified: a refused model has it as well."""


def _verified(source: Source, model: str) -> dict[str, Any]:
    job = source.models()[model]()
    _described.update(frontend=frontend_of(job.model, job.frontend), parameters=parameters(job))
    found = numbers(verify_program(job, 1))
    if found.pop("passed"):
        return {"verdict": AGREES, **found}
    reason = f"{len(found['differing'])} of {found['tensors']} tensors differ"
    return {"verdict": FAILED, "reasons": [reason], **found}


def parameters(job: Job) -> int:
    """How many numbers of the model are trained."""
    model = job.model
    if hasattr(model, "trainable_variables"):
        return sum(prod(variable.shape) for variable in model.trainable_variables)
    if callable(getattr(model, "parameters", None)):
        return sum(value.numel() for value in model.parameters() if value.requires_grad)
    import jax

    params = getattr(model, "params", model)
    floats = (leaf for leaf in jax.tree.leaves(params) if hasattr(leaf, "size"))
    return sum(int(leaf.size) for leaf in floats)


def reasons(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """Each reason once, with the first place where it arises and the number of other places."""
    places: dict[str, dict[str, None]] = {}
    for diagnostic in diagnostics:
        found = places.setdefault(_OPERANDS.sub("", diagnostic.message), {})
        if diagnostic.location is not None:
            found[diagnostic.location.removesuffix(":0")] = None
    return [reason + _where(list(found)) for reason, found in places.items()]


def _where(places: list[str]) -> str:
    if not places:
        return ""
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f" ({places[0]}{more})"


def _last_line(error: Exception) -> str:
    """The last line that Python prints of an exception, cut to a length that fits a table."""
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return lines[-1][:300]


def _versions(source: Source) -> dict[str, str]:
    return {package: version(package) for package in source.packages}


if __name__ == "__main__":
    # Models print: what is read from here is the last line.
    print(json.dumps(row_of(sys.argv[1]), allow_nan=False), flush=True)
