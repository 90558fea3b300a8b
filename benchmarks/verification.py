"""What benchmarks tell of a verification: numbers of a `pock.verify.Verification` for JSON."""

from __future__ import annotations

from typing import Any

from pock.verify import TOLERANCE, Verification

KINDS = ("loss", "gradient", "updated")


def numbers(found: Verification) -> dict[str, Any]:
    """How many tensors were compared, how they were judged, and the largest errors.

    within: tensors within the tolerance of the framework; closer: of float64, and closer than the
    framework; repeated: judged by repeated runs. Over those, ratio: the geometric mean of pock's
    median error by the framework's; noise: the largest median error of the framework, below which
    nothing can be found. worst_KIND: the tensor with the largest relative error in norm.
    """
    repeated = [row.repeated for row in found.rows if row.repeated is not None]
    within = sum(row.error <= TOLERANCE for row in found.rows)
    return {
        "passed": found.passed,
        "tensors": len(found.rows),
        "within": within,
        "closer": sum(row.is_close for row in found.rows) - within,
        "repeated": len(repeated),
        "runs": max((len(sample.own) for sample in repeated), default=0),
        "ratio": found.ratio,
        "noise": max((sample.medians[1] for sample in repeated), default=None),
        "lowest_chance": min((sample.chance for sample in repeated), default=None),
        "differing": [f"{r.step} {r.kind} {r.name}" for r in found.differing()],
        **{f"worst_{kind}": _worst(found, kind) for kind in KINDS},
    }


def _worst(found: Verification, kind: str) -> dict[str, Any]:
    row = found.worst(kind)
    return {"name": row.name, "error": row.error, "own": row.own, "framework": row.framework}
