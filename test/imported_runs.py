"""Runs imported modules in the reference interpreter, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from pock.frontends.imported import Imported
from pock_ir.dialects import make_context
from pock_ir.interpret import find_function, run_function
from pock_ir.op import ints
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, result_attributes

STORED = ("parameter", "buffer", "constant")
SEED = 7

Results = dict[tuple[str, str], np.ndarray]


def run_imported(
    imported: Imported, function: str, given: Mapping[str, np.ndarray], step: int = 0
) -> Results:
    """The results of `function` by (kind, name); weights follow `pock.permute`."""
    return _run(imported.module, imported, function, given, step)


def gradients_of(
    imported: Imported, given: Mapping[str, np.ndarray], step: int = 0
) -> dict[str, np.ndarray]:
    """The gradient of every parameter that has one, by name. Raises PockError as autodiff does."""
    module = imported.module.clone()
    arguments = argument_attributes(find_function(module, "train"))
    if "parameter" not in map(kind_of, arguments):
        return {}
    for action in (ApplySchemePass("full"), AutodiffPass()):
        action.apply(make_context(), module)
    results = _run(module, imported, "train_step", given, step)
    return {name: value for (kind, name), value in results.items() if kind == "gradient"}


def _run(
    module: ModuleOp,
    imported: Imported,
    function: str,
    given: Mapping[str, np.ndarray],
    step: int,
) -> Results:
    found = find_function(module, function)
    words = {"seed": np.array(SEED, np.int32), "step": np.array(step, np.int32)}
    arrays = []
    for attributes in argument_attributes(found):
        kind, name = kind_of(attributes), name_of(attributes)
        array = imported.weights[name] if kind in STORED else {**words, **given}[name]
        if "pock.permute" in attributes:
            array = array.transpose(ints(attributes["pock.permute"]))
        arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    results = run_function(module, function, arrays)
    keys = [(kind_of(entry), name_of(entry)) for entry in result_attributes(found)]
    return dict(zip(keys, results, strict=True))


def function_named(imported: Imported, name: str) -> FuncOp:
    return find_function(imported.module, name)


def op_counts(function: FuncOp) -> dict[str, int]:
    counts: dict[str, int] = {}
    for op in function.body.block.ops:
        counts[op.name] = counts.get(op.name, 0) + 1
    return counts


def assert_close(value: np.ndarray, reference: object, tolerance: float) -> None:
    """Equal up to `tolerance` times the largest element of the reference (at least 1)."""
    exact = np.asarray(reference)
    scale = max(1.0, float(np.max(np.abs(exact[np.isfinite(exact)]), initial=0.0)))
    np.testing.assert_allclose(value, exact, rtol=tolerance, atol=tolerance * scale)
