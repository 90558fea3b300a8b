"""JAX models as modules of level `nn`: @train, @eval and @infer, with weights beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from xdsl.dialects.builtin import ModuleOp

from pock.frontends.common.signature import (
    BUFFER,
    PARAMETER,
    Constants,
    Signature,
    checked_types,
    new_module,
    used_names,
)
from pock.frontends.imported import Imported
from pock.frontends.jax.capture import Capture, Given
from pock.frontends.jax.function import build_function
from pock.frontends.jax.loss import Loss
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.model import model_of
from pock.frontends.jax.structure import to_numpy, type_of_leaf
from pock_ir.diagnostics import DiagnosticCollector, quote
from pock_ir.types import Tensor
from pock_ir.verify import verify_module


def import_jax(
    model: Any,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    example_targets: Any,
    loss: Loss,
    *,
    name: str = "net",
) -> Imported:
    """Import `model` with `loss`.

    model: a `pock.jax.Model`, a flax.nnx module or an Equinox module; see `model`.
    example_inputs: positional arguments as a tuple, or keyword arguments as a mapping; arrays may
        lie in nested tuples, lists and dicts. Their shapes and dtypes are compiled.
    example_targets: an array, a structure of arrays, or None.
    loss: "cross_entropy" (class indices, classes last) or "mse", both means over everything;
        "output" if the model returns its loss; or a function of outputs and targets, which must
        give a float scalar. By name it gets the output called "logits", or the first.

    @train is the model in training, with dropout from pock's counter; @eval and @infer are the
    model in inference.

    Raises PockError with everything that cannot be imported, each with the source line.
    """
    errors = DiagnosticCollector()
    pure = model_of(model)
    given = Given.of(pure, example_inputs, example_targets)
    signature = _signature(given, errors)
    errors.raise_if_any()
    markers = Markers()
    capture = Capture(pure, loss, given, markers)
    constants = Constants(frozenset((*given.params, *given.state)))
    traced = capture.functions()
    module = new_module(name)
    for function, found in traced.items():
        built = build_function(function, found, signature, constants, markers, errors)
        module.body.block.add_op(built)
    errors.raise_if_any()
    verify_module(module)
    return _imported(module, given, constants, traced["infer"].names("output"))


def _signature(given: Given, errors: DiagnosticCollector) -> Signature:
    twice = sorted(set(given.params) & set(given.state))
    for name in twice:
        errors.add(f"a parameter and a state are both called {quote(name)}", help="rename one")
    stored: dict[str, tuple[str, Tensor]] = {}
    for what, leaves in ((PARAMETER, given.params), ("state", given.state)):
        for name, type in checked_types(leaves, what, type_of_leaf, errors).items():
            is_float = jnp.issubdtype(given.params.get(name, jnp.zeros(())).dtype, jnp.floating)
            stored[name] = (PARAMETER if what == PARAMETER and is_float else BUFFER, type)
    return Signature(
        stored,
        checked_types(given.inputs, "input", type_of_leaf, errors),
        checked_types(given.targets, "target", type_of_leaf, errors),
    )


def _imported(module: ModuleOp, given: Given, constants: Constants, outputs: list[str]) -> Imported:
    used = used_names(module)
    data = {n: to_numpy(v) for n, v in {**given.params, **given.state}.items()} | constants.arrays
    return Imported(
        module,
        {name: array for name, array in data.items() if name in used},
        {},
        (),
        tuple(given.inputs),
        tuple(given.targets),
        tuple(outputs),
    )
