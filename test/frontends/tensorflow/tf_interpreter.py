"""Runs imported modules in the reference interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from xdsl.dialects.func import FuncOp

from pock.frontends.imported import Imported
from pock_ir.dialects import make_context
from pock_ir.interpret import find_function, run_function
from pock_ir.op import ints
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass, parse_update
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, result_attributes

STORED = ("parameter", "buffer", "constant")
SEED = 7

Results = dict[tuple[str, str], np.ndarray]


def run_imported(
    imported: Imported, function: str, given: Mapping[str, np.ndarray], step: int = 0
) -> Results:
    """The results of `function` by (kind, name)."""
    found: FuncOp = find_function(imported.module, function)
    words = {"seed": np.array(SEED, np.int32), "step": np.array(step, np.int32)}
    arrays = []
    for attributes in argument_attributes(found):
        kind, name = kind_of(attributes), name_of(attributes)
        array = imported.weights[name] if kind in STORED else {**words, **given}[name]
        if "pock.permute" in attributes:
            array = array.transpose(ints(attributes["pock.permute"]))
        arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    results = run_function(imported.module, function, arrays)
    keys = [(kind_of(entry), name_of(entry)) for entry in result_attributes(found)]
    return dict(zip(keys, results, strict=True))


def gradients_of(imported: Imported, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The gradient of each parameter; the module becomes one of level `train`."""
    context = make_context()
    ApplySchemePass.of(parse_update("full")).apply(context, imported.module)
    AutodiffPass().apply(context, imported.module)
    results = run_imported(imported, "train_step", given)
    return {name: value for (kind, name), value in results.items() if kind == "gradient"}


def op_counts(imported: Imported, function: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for op in find_function(imported.module, function).body.block.ops:
        counts[op.name] = counts.get(op.name, 0) + 1
    return counts


def assert_close(value: np.ndarray, reference: object, tolerance: float) -> None:
    """Equal up to `tolerance` times the largest element of the reference (at least 1)."""
    exact = np.asarray(reference)
    scale = max(1.0, float(np.max(np.abs(exact[np.isfinite(exact)]), initial=0.0)))
    np.testing.assert_allclose(value, exact, rtol=tolerance, atol=tolerance * scale)
