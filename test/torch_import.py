"""Imports PyTorch models and compares them with PyTorch in the reference interpreter."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from imported_runs import SEED, assert_close, run_imported
from torch import nn
from torch.utils import _pytree as pytree

from pock.frontends.torch import Imported, import_torch
from pock.frontends.torch.arguments import to_numpy
from pock_ir.dialects import make_context
from pock_ir.parse import parse_module, print_module


def given_arrays(
    imported: Imported, inputs: Sequence[object], targets: object
) -> dict[str, np.ndarray]:
    """Inputs and targets by argument name."""
    tensors = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    wanted = [leaf for leaf in pytree.tree_leaves(targets) if isinstance(leaf, torch.Tensor)]
    named = zip((*imported.inputs, *imported.targets), (*tensors, *wanted), strict=True)
    return {name: to_numpy(tensor) for name, tensor in named}


def check_model(
    model: nn.Module,
    inputs: tuple[object, ...],
    targets: object,
    loss: object = "cross_entropy",
    *,
    tolerance: float = 1e-5,
) -> Imported:
    """Import `model` and compare loss, outputs and buffer updates with PyTorch; see what changed.

    The first output of the model is what is compared. Dropout follows pock's masks.
    """
    from pock.frontends.torch.oracle import SGD, train_reference

    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [inner.training for inner in model.modules()]
    imported = import_torch(model, inputs, targets, loss)
    assert [inner.training for inner in model.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    dtype = next(model.parameters()).dtype
    given = given_arrays(imported, inputs, targets)
    trained = run_imported(imported, "train", given)
    batches = [(inputs, targets)]
    reference = train_reference(model, loss, SGD(0.0), batches, 1, dtype=dtype, seed=SEED)[0]
    assert_close(trained["loss", "loss"], reference.loss, tolerance)
    for (kind, name), value in trained.items():
        if kind == "update":
            assert_close(value, reference.updated[name], tolerance)

    frozen = copy.deepcopy(model).eval()
    with torch.no_grad():
        output = pytree.tree_leaves(frozen(*inputs))[0].numpy()
    first = next(key for key in run_imported(imported, "infer", given))
    assert_close(run_imported(imported, "infer", given)[first], output, tolerance)
    evaluated = run_imported(imported, "eval", given)
    assert_close(evaluated[first], output, tolerance)
    exact = train_reference(frozen, loss, SGD(0.0), batches, 1, dtype=dtype, seed=SEED)[0]
    assert_close(evaluated["loss", "loss"], exact.loss, tolerance)

    text = print_module(imported.module, locations=True)
    assert print_module(parse_module(make_context(), text), locations=True) == text
    return imported
