"""What PyTorch computes for the same op: one module per module of the dialects.

A module's table `REFERENCES` has by op: `reference(op, *operands)` with torch tensors, returning a
tensor or several.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__ = ["REFERENCES", "WITHOUT_TORCH"]

NOT_OF_OPS = {"torch_reference", "window"}


def _all_references():
    """The tables `REFERENCES` of all modules of ops, in alphabetical order."""
    names = sorted(info.name for info in iter_modules(__path__) if info.name not in NOT_OF_OPS)
    tables = [import_module(f"{__name__}.{name}").REFERENCES for name in names]
    return {op_type: reference for table in tables for op_type, reference in table.items()}


REFERENCES = _all_references()

WITHOUT_TORCH = {
    "nn.dropout": "PyTorch's masks come from another generator; test_dropout checks ours",
    "train.adam_correction": "not an op of PyTorch; test_optimizer checks the formula",
}
"""By op name: why there is no PyTorch equivalent, and which test checks the op instead."""
